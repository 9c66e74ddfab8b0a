/** A server of a test file's own, and requests to it as any client may make them. */

import { afterAll, beforeAll } from "bun:test";
import { usualRequestRules } from "../../master/apiserver/http/request-rules.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { ApiServer } from "../../master/apiserver/server.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

export interface Answer {
  readonly code: number;
  readonly headers: Headers;
  // Answers are looked into freely here.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests assert.
  readonly body: any;
}

export interface Wire {
  /** Once the tests run. */
  readonly server: TestServer;
  /** A body that is no text is sent as JSON. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

/** With a namespace `test`; ended after the file's tests. */
export function startWire(): Wire {
  let server: TestServer | undefined;
  beforeAll(async () => {
    // A busy machine may take more than a minute over what is large.
    server = await startTestServer({ namespaces: ["test"], rules: { ...usualRequestRules, longest_ms: 600_000 } });
  });
  afterAll(() => server?.stop());
  const started = (): TestServer => {
    if (!server) throw new Error("the server starts before the first test");
    return server;
  };
  return {
    get server() {
      return started();
    },
    send: (...request) => send(started(), ...request),
  };
}

/** Another server over the same store, which anybody may ask, started when all that was has been compacted away. */
export async function startAfterCompaction({ store }: TestServer): Promise<ApiServer> {
  await store.compact(await store.now());
  const guards = {
    authenticator: { authenticate: async () => undefined },
    authorizer: { authorize: async () => ({ outcome: "allow" as const, reason: "" }) },
    admission: [],
  };
  const later = new ApiServer({ store, declarations: builtinDeclarations, guards: () => guards });
  await later.start();
  return later;
}

async function send(
  server: TestServer,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await server.fetch(path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: (body === undefined || typeof body === "string" || body instanceof Uint8Array
      ? (body ?? null)
      : JSON.stringify(body)) as string | null,
  });
  const text = await response.text();
  let parsed: unknown = text;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON: the text itself is looked at.
  }
  return { code: response.status, headers: response.headers, body: parsed };
}

export const base = "/api/v1/namespaces/test/configmaps";
export const configMap = (name: string, more: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  ...more,
});
