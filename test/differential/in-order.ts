/** Requests that build on one another, sent in order to upstream's server and to ours. */

export interface OrderedRequest {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: object;
  /** Sent again until the answer has this status: what follows from a change of a definition comes a moment later. */
  readonly until?: number;
  /** Sent again until the answer lacks this text. */
  readonly untilLacks?: string;
  /** Sent again until the answer has this text. */
  readonly untilHas?: string;
}

type Fetch = (path: string, init: RequestInit) => Promise<Response>;

const patience_ms = 240_000;

/** Sends each request once the one before is answered. Throws when one never gets what it waits for. */
export async function sendInOrder<T>(
  requests: readonly OrderedRequest[],
  fetch: Fetch,
  answerOf: (response: Response, sent: string) => Promise<T>,
): Promise<Record<string, T>> {
  const answers: Record<string, T> = {};
  for (const request of requests) {
    const answer = await answerTo(request, fetch, answerOf);
    if (answer !== undefined) answers[request.name] = answer;
  }
  return answers;
}

/** undefined for one that was sent to wait for something. */
async function answerTo<T>(
  { name, method, path, type, body, until, untilLacks, untilHas }: OrderedRequest,
  fetch: Fetch,
  answerOf: (response: Response, sent: string) => Promise<T>,
): Promise<T | undefined> {
  const sent = body ? JSON.stringify(body) : "";
  const headers = { "content-type": type ?? "application/json", "user-agent": "client" };
  const init = { method, headers, ...(body && { body: sent }) };
  const end = performance.now() + patience_ms;
  for (;;) {
    const response = await fetch(path, init);
    if (until === undefined && untilLacks === undefined && untilHas === undefined) return answerOf(response, sent);
    const text = await response.text();
    const isStatus = until === undefined || response.status === until;
    const isLacking = untilLacks === undefined || !text.includes(untilLacks);
    if (isStatus && isLacking && text.includes(untilHas ?? "")) return undefined;
    if (performance.now() > end) throw new Error(`${name}: still ${response.status} ${text}`);
    await Bun.sleep(50);
  }
}
