/** What clients of the API rely on is the same by HTTP/1.1 and by HTTP/2. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { gunzipSync } from "node:zlib";
import { configMaps } from "#shared/api/resources.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import type { User } from "../../master/apiserver/request.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";
import { type Answered, type Asked, askBy, type Place, protocols } from "../support/protocols.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

let server: TestServer;
let secured: SecuredServer;
/** An admin at each. */
let place: Place;
let securedPlace: Place;
const namespace = "/api/v1/namespaces/default";

beforeAll(async () => {
  server = await startTestServer();
  secured = await startSecuredServer();
  const own = await server.issue("kubernetes-admin", ["system:masters"]);
  place = { url: server.url, ca: server.authority.certificatePem, cert: own.certificatePem, key: own.keyPem };
  const { ca } = secured.pki.authorities;
  const subject = { commonName: "kubernetes-admin", organizations: ["system:masters"] };
  const root = await issueCertificate(ca, subject, [extendedKeyUsages.clientAuth]);
  securedPlace = { url: secured.url, ca: ca.certificatePem, cert: root.certificatePem, key: root.keyPem };
  for (let index = 0; index < 200; index += 1) {
    await server.client.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: `of-many-${index}`, namespace: "default", labels: { of: "many" } },
      data: { text: "text ".repeat(1000) },
    });
  }
});
afterAll(() => Promise.all([server.stop(), secured.stop()]));

/** Of one hop only, which HTTP/2 has none of. */
const ofOneHop = ["connection", "keep-alive", "transfer-encoding", "upgrade"];

describe.each(protocols)("by %s", (protocol) => {
  const ask = (asked: Asked): Promise<Answered> => askBy(protocol, place, asked);
  const own = protocol.replace(/\W/g, "").toLowerCase();
  const json = { "content-type": "application/json" };
  const named = (name: string, data: Record<string, string> = {}): string =>
    JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });

  test("an object is made, read, changed and deleted", async () => {
    const path = `${namespace}/configmaps`;
    const made = await ask({ method: "POST", path, headers: json, body: named(`${own}-a`, { a: "é" }) });
    expect(made.status).toBe(201);
    const read = await ask({ path: `${path}/${own}-a` });
    expect(JSON.parse(read.body.toString()).data).toEqual({ a: "é" });
    expect(read.headers["content-length"]).toBe(String(read.body.length));
    const patch = {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body: '{"data":{"b":"c"}}',
    };
    expect((await ask({ ...patch, path: `${path}/${own}-a` })).status).toBe(200);
    expect((await ask({ method: "DELETE", path: `${path}/${own}-a` })).status).toBe(200);
    expect((await ask({ path: `${path}/${own}-a` })).status).toBe(404);
  });

  test("a large list comes whole, compressed for who asks for it", async () => {
    const path = `${namespace}/configmaps?labelSelector=of%3Dmany`;
    const plain = await ask({ path });
    expect(JSON.parse(plain.body.toString()).items).toHaveLength(200);
    const packed = await ask({ path, headers: { "accept-encoding": "gzip" } });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(packed.body).equals(plain.body)).toBe(true);
    const table = await ask({ path, headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" } });
    expect(JSON.parse(table.body.toString()).rows).toHaveLength(200);
  });

  test("no header of one hop reaches a client of HTTP/2", async () => {
    const answers = await Promise.all([
      ask({ path: "/version" }),
      ask({ path: "/%zz" }),
      ask({ path: `${namespace}/configmaps` }),
    ]);
    if (protocol === "HTTP/2")
      for (const { headers } of answers) for (const name of ofOneHop) expect(headers[name]).toBeUndefined();
    for (const { headers } of answers) expect(headers["date"]).toBeDefined();
    expect(answers.map(({ status }) => status)).toEqual([200, answers[1]?.status ?? 0, 200]);
  });

  test("a request that only asks for the head gets no body", async () => {
    const { headers, body } = await ask({ method: "HEAD", path: "/openapi/v2" });
    expect(body).toHaveLength(0);
    expect(headers["audit-id"]).toBeDefined();
  });

  test("warnings reach the client, each in a header of its own or joined", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `${own}-w` },
      spec: { containers: [{ name: "a", image: "b" }], unknown: 1, odd: 2 },
    };
    const { status, headers } = await ask({
      method: "POST",
      path: `${namespace}/pods?fieldValidation=Warn&dryRun=All`,
      headers: json,
      body: JSON.stringify(pod),
    });
    expect(status).toBe(201);
    expect(String(headers["warning"])).toContain('299 - "unknown field \\"spec.odd\\""');
    expect(String(headers["warning"])).toContain('299 - "unknown field \\"spec.unknown\\""');
  });

  test("impersonation takes several groups, and values with commas", async () => {
    const { body } = await askBy(protocol, securedPlace, {
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      headers: {
        ...json,
        "impersonate-user": "jane",
        "impersonate-group": ["devs", "ops, all"],
        "impersonate-extra-scopes": ["a,b", "c"],
      },
      body: JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }),
    });
    const user = (JSON.parse(body.toString()) as { status: { userInfo: User & { username: string } } }).status.userInfo;
    expect(user.username).toBe("jane");
    expect(user.groups).toEqual(["devs", "ops, all", "system:authenticated"]);
    expect(user.extra).toEqual({ scopes: ["a,b", "c"] });
  });

  test("a large body is taken, a larger one refused", async () => {
    const path = `${namespace}/configmaps`;
    const taken = await ask({
      method: "POST",
      path,
      headers: json,
      body: named(`${own}-large`, { text: "x".repeat(900_000) }),
    });
    expect(taken.status).toBe(201);
    const refused = await ask({
      method: "POST",
      path,
      headers: json,
      body: named(`${own}-larger`, { text: "x".repeat(3_500_000) }),
    });
    expect(refused.status).toBe(413);
  });

  test("who expects to be asked for the body is asked", async () => {
    const body = named(`${own}-expected`);
    const headers = { ...json, expect: "100-continue", "content-length": String(body.length) };
    expect((await ask({ method: "POST", path: `${namespace}/configmaps`, headers, body })).status).toBe(201);
  });

  test("a watch tells each event as it happens", async () => {
    const first = await ask({ path: `${namespace}/configmaps?limit=1` });
    const from = (JSON.parse(first.body.toString()) as { metadata: { resourceVersion: string } }).metadata
      .resourceVersion;
    for (const name of ["one", "two"]) {
      await ask({
        method: "POST",
        path: `${namespace}/configmaps`,
        headers: json,
        body: named(`${own}-watched-${name}`),
      });
    }
    const { body } = await ask({ path: `${namespace}/configmaps?watch=true&resourceVersion=${from}&timeoutSeconds=1` });
    const events = body
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { object: { metadata: { name: string } } });
    expect(events.map(({ object }) => object.metadata.name)).toEqual([`${own}-watched-one`, `${own}-watched-two`]);
  });
});

test("who says not who it is has one turn on a connection of HTTP/2, but a browser all its page's files", async () => {
  const { url, ca } = securedPlace;
  /** Statuses of one request after the other by one connection; undefined: refused. */
  const inTurn = async (path: string): Promise<(number | undefined)[]> => {
    const session = connect(url, { ca });
    session.on("error", () => undefined);
    const turn = async (): Promise<number | undefined> => {
      try {
        const stream = session.request({ ":path": path });
        const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status"?: number }];
        stream.resume();
        if (!stream.readableEnded) await once(stream, "end");
        return answer[":status"];
      } catch {
        return undefined;
      }
    };
    const statuses = [await turn(), await turn()];
    session.destroy();
    return statuses;
  };
  expect(await inTurn("/version")).toEqual([200, undefined]);
  const [first, second] = await inTurn("/dashboard");
  expect(first).toBeNumber();
  expect(second).toBe(first);
});
