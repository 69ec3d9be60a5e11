// k6's HTTP module, as far as the scenarios use it; times are kept for the runner.

/** Each request: `{ name, status, ms }`. */
export const requests = [];

export default {
  /** As k6's `http.asyncRequest`. */
  async asyncRequest(method, url, body, { headers, tags } = {}) {
    const began = performance.now();
    const response = await fetch(url, { method, headers, body: body ?? undefined });
    const text = await response.text();
    const ms = performance.now() - began;
    requests.push({ name: tags?.name ?? `${method} ${url}`, status: response.status, ms });
    return { status: response.status, body: text, headers: Object.fromEntries(response.headers), timings: { duration: ms } };
  },
};
