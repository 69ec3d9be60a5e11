-- The models of the AI providers as they were priced in November 2026, for a deployment to begin with:
--   psql "$DATABASE_URL" -f seeds/ai_models.sql
-- Running it again changes nothing; what a super administrator changed stays. Prices are dollars for 1,000 tokens.

SET celaest.access = 'system';

INSERT INTO ai_models
    (provider, model_id, display_name, aliases, capabilities, context_window, max_tokens_output, cost_per_1k_input,
     cost_per_1k_cached, cost_per_1k_output, priority, metadata)
SELECT provider::ai_provider, model_id, display_name, aliases,
    jsonb_build_object('text_generation', true, 'code_generation', true, 'streaming', true, 'function_calling', true,
        'json_mode', true, 'json_schema', json_schema, 'vision', vision, 'reasoning', reasoning),
    context_window, max_tokens_output, input, cached, output, priority, metadata::jsonb
FROM (VALUES
    ('openai', 'gpt-6-luna', 'GPT-6 Luna', ARRAY['fast'], true, true, true,
     1050000, 128000, 0.0001, 0.00001, 0.0005, 90, '{}'),
    ('openai', 'gpt-6-sol', 'GPT-6 Sol', ARRAY['smart'], true, true, true,
     1050000, 128000, 0.002, 0.0002, 0.01, 50,
     '{"pricing": {"long_context": {"over": 272000, "input": 2, "output": 1.5}}}'),
    ('openai', 'gpt-5.4-mini', 'GPT-5.4 mini', ARRAY[]::text[], true, true, true,
     400000, 128000, 0.00075, 0.000075, 0.0045, 40, '{}'),
    ('anthropic', 'claude-haiku-5-5', 'Claude Haiku 5.5', ARRAY['fast'], true, true, true,
     1000000, 128000, 0.0001, 0.00001, 0.0005, 85,
     '{"pricing": {"long_context": {"over": 100000, "input": 5, "output": 5}}}'),
    ('anthropic', 'claude-sonnet-5-5', 'Claude Sonnet 5.5', ARRAY[]::text[], true, true, true,
     1000000, 128000, 0.002, 0.0002, 0.01, 60, '{}'),
    ('anthropic', 'claude-opus-5-5', 'Claude Opus 5.5', ARRAY['smart'], true, true, true,
     1000000, 128000, 0.004, 0.0002, 0.02, 55, '{}'),
    ('gemini', 'gemini-3.1-flash-lite', 'Gemini 3.1 Flash-Lite', ARRAY['fast'], true, true, true,
     1000000, 65000, 0.00025, NULL, 0.0015, 80, '{}'),
    ('gemini', 'gemini-3.8-flash', 'Gemini 3.8 Flash', ARRAY[]::text[], true, true, true,
     1000000, 65536, 0.00075, NULL, 0.00375, 65, '{}'),
    ('gemini', 'gemini-4-argon', 'Gemini 4 Argon', ARRAY['smart'], true, true, true,
     1000000, NULL, 0.002, 0.0001, 0.01, 45, '{}'),
    ('groq', 'openai/gpt-oss-20b', 'GPT-OSS 20B on Groq', ARRAY['fast'], true, false, true,
     131072, 65536, 0.000075, 0.0000375, 0.0003, 75, '{}'),
    ('groq', 'openai/gpt-oss-120b', 'GPT-OSS 120B on Groq', ARRAY[]::text[], true, false, true,
     131072, 65536, 0.00015, 0.000075, 0.0006, 70, '{}'),
    ('groq', 'qwen/qwen3.6-27b', 'Qwen 3.6 27B on Groq', ARRAY[]::text[], false, true, true,
     131072, 16384, 0.0006, 0.0003, 0.003, 30, '{}'),
    ('deepseek', 'deepseek-flash', 'DeepSeek Flash', ARRAY['fast'], false, true, true,
     1000000, 384000, 0.00015, 0.000003, 0.0006, 72,
     '{"pricing": {"peak": {"factor": 2, "utc_hours": [[1, 4], [6, 10]], "weekdays_only": true}}}'),
    ('deepseek', 'deepseek-v4-pro', 'DeepSeek V4 Pro', ARRAY['smart'], false, false, true,
     1000000, 384000, 0.00066, 0.000022, 0.00198, 35,
     '{"pricing": {"peak": {"factor": 2, "utc_hours": [[1, 4], [6, 10]], "weekdays_only": true}}}')
) AS m(provider, model_id, display_name, aliases, json_schema, vision, reasoning, context_window, max_tokens_output,
    input, cached, output, priority, metadata)
ON CONFLICT DO NOTHING;

RESET celaest.access;
