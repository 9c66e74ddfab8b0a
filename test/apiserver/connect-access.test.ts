/** Who may connect to pods: whoever may only read may not run anything there, by whichever method the connection begins. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Attributes } from "../../master/apiserver/authz/authorizer.ts";
import { connectHandlers } from "../../master/apiserver/connect/handlers.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

let server: TestServer;
/** Verbs that are allowed on subresources of pods; all else is, too. */
let allowed: readonly string[] = [];
const asked: string[] = [];

beforeAll(async () => {
  const authorize = ({ subresource, verb }: Attributes) => {
    if (subresource) asked.push(`${verb} ${subresource}`);
    return { outcome: !subresource || allowed.includes(verb) ? "allow" : "deny", reason: "" } as const;
  };
  server = await startTestServer({
    guards: ({ reader }) => ({
      authorizer: { authorize },
      subresources: {
        "": connectHandlers({
          reader,
          dialer: { boards: [], dial: () => Promise.reject(new Error("nothing is to be reached")) },
        }),
      },
    }),
  });
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a" },
    spec: { containers: [{ name: "c", image: "i" }] },
  };
  const response = await server.fetch("/api/v1/namespaces/default/pods", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(pod),
  });
  expect(response.status).toBe(201);
});
afterAll(() => server.stop());

async function connect(method: string, subresource: string, verbs: readonly string[]): Promise<number> {
  allowed = verbs;
  asked.length = 0;
  const response = await server.fetch(`/api/v1/namespaces/default/pods/a/${subresource}`, { method });
  await response.text();
  return response.status;
}

test.each(["exec?command=ls&stdout=true", "attach", "portforward"])(
  "%s by GET needs create, too",
  async (subresource) => {
    const [name] = subresource.split("?");
    expect(await connect("GET", subresource, ["get"])).toBe(403);
    expect(asked).toEqual([`get ${name}`, `create ${name}`]);
    expect(await connect("GET", subresource, ["create"])).toBe(403);
    // The pod has no board yet.
    expect(await connect("GET", subresource, ["get", "create"])).toBe(400);
    expect(await connect("POST", subresource, ["create"])).toBe(400);
    expect(asked).toEqual([`create ${name}`]);
  },
);

test.each(["log", "proxy/"])("%s by GET is reading", async (subresource) => {
  expect(await connect("GET", subresource, ["get"])).not.toBe(403);
});
