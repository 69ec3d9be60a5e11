"""The official `openai` package, unmodified: what it asks and what it makes of the answers."""

import json
import os

import openai
from pydantic import BaseModel

client = openai.OpenAI(api_key=os.environ["API_KEY"], base_url=os.environ["BASE_URL"], max_retries=0)
MODEL = os.environ["MODEL"]
QUESTION = [{"role": "user", "content": "One two three"}]


class Person(BaseModel):
    name: str
    age: int


def fails(kind, **request):
    try:
        client.chat.completions.create(**{"model": MODEL, "messages": QUESTION, **request})
    except kind as error:
        return [error.status_code, error.code]
    raise AssertionError(f"{kind.__name__} expected")


answer = client.chat.completions.create(model=MODEL, messages=QUESTION)
stream = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True})
chunks = list(stream)

tool = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    },
}
asked = [{"role": "user", "content": "The weather in Lima?"}]
message = client.chat.completions.create(model=MODEL, messages=asked, tools=[tool]).choices[0].message
call = message.tool_calls[0]
results = [*asked, message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
said = client.chat.completions.create(model=MODEL, messages=results, tools=[tool]).choices[0].message.content
parsed = client.chat.completions.parse(model=MODEL, messages=QUESTION, response_format=Person).choices[0].message.parsed

print(json.dumps({
    "answer": answer.choices[0].message.content,
    "total": answer.usage.total_tokens,
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
    "streamed_total": chunks[-1].usage.total_tokens,
    "call": [call.function.name, json.loads(call.function.arguments)],
    "said": said,
    "parsed": parsed.model_dump(),
    "models": [model.id for model in client.models.list()],
    "model": client.models.retrieve(MODEL).id,
    "unknown": fails(openai.NotFoundError, model="nobody"),
    "wrong": fails(openai.BadRequestError, temperature=-1),
}))
