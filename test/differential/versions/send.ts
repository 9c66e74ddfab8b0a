import { answerOf, type WireAnswer } from "../wire/answer.ts";
import type { Request } from "./requests.ts";

type Fetch = (path: string, init: RequestInit) => Promise<Response>;

const patience_ms = 30_000;

/** Sends each request once the one before is answered. Throws when one never gets the status that it waits for. */
export async function sendInOrder(
  requests: readonly Request[],
  fetch: Fetch,
  each: (name: string, answer: WireAnswer) => void,
): Promise<void> {
  for (const request of requests) each(request.name, await answerTo(request, fetch));
}

async function answerTo(
  { name, method, path, type, body, until, untilLacks }: Request,
  fetch: Fetch,
): Promise<WireAnswer> {
  const sent = body ? JSON.stringify(body) : "";
  const headers = { "content-type": type ?? "application/json", "user-agent": "client" };
  const init = { method, headers, ...(body && { body: sent }) };
  const end = performance.now() + patience_ms;
  for (;;) {
    const response = await fetch(path, init);
    if (until === undefined && untilLacks === undefined) return answerOf(response, sent);
    const text = await response.text();
    const isThere = until === undefined ? !text.includes(untilLacks ?? "") : response.status === until;
    if (isThere) return { code: until ?? 0, type: "" };
    if (performance.now() > end) throw new Error(`${name}: still ${response.status} ${text}`);
    await Bun.sleep(50);
  }
}
