/** Proxies in front of the API server that say whose requests they bring, as upstream's answers were seen to be. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:tls";
import { serviceAccounts } from "#shared/api/resources.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import { flags, frameTypes } from "#shared/http2/frames.ts";
import {
  createCertificateAuthority,
  crossCertify,
  issueCertificate,
  type KeyAndCertificate,
} from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { Http2Client } from "../support/http2-client.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

type Headers = readonly (readonly [name: string, value: string])[];

interface Answer {
  readonly code: number;
  readonly user: object | undefined;
}

const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const review = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" });
const { clientAuth, serverAuth } = extendedKeyUsages;

let server: SecuredServer;
let clients: KeyAndCertificate;
let frontProxies: KeyAndCertificate;
let proxy: KeyAndCertificate;
let token: string;

beforeAll(async () => {
  server = await startSecuredServer({
    frontProxies: {
      allowedNames: ["front-proxy-client", "other-proxy"],
      headers: {
        username: ["X-Remote-User", "X-Second-User"],
        uid: ["X-Remote-Uid"],
        group: ["X-Remote-Group", "X-Second-Group"],
        extraPrefix: ["X-Remote-Extra-", "X-Second-Extra-"],
      },
    },
  });
  const { authorities, certificates } = server.pki;
  [clients, frontProxies, proxy] = [authorities.ca, authorities.frontProxyCa, certificates.frontProxyClient];
  const account = { namespace: "default", name: "robot" };
  await server.admin.create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata: account });
  const request: TokenRequest = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: {},
    spec: { audiences: [] },
  };
  const issued = await server.admin.post<TokenRequest>(serviceAccounts, account, "token", request);
  token = issued.status?.token ?? "";
});
afterAll(() => server.stop());

/** Header values as the bytes of UTF-8. */
const bytesOf = (text: string): string => Buffer.from(text).toString("latin1");

const place = ({ certificatePem: cert, keyPem: key }: Partial<KeyAndCertificate> = {}) => ({
  host: "127.0.0.1",
  port: Number(new URL(server.url).port),
  ca: server.pki.authorities.trusted,
  ...(cert && key ? { cert, key } : {}),
});

async function exchange(as: Partial<KeyAndCertificate>, text: string, isWhole: (answer: string) => boolean) {
  const socket = connect(place(as));
  await once(socket, "secureConnect");
  socket.write(Buffer.from(text, "latin1"));
  let answer = "";
  for await (const chunk of socket) {
    answer += (chunk as Buffer).toString("utf8");
    if (isWhole(answer)) break;
  }
  socket.destroy();
  return answer;
}

async function byHttp1(as: Partial<KeyAndCertificate>, headers: Headers): Promise<Answer> {
  const lines = [
    `POST ${path} HTTP/1.1`,
    "Host: localhost",
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${review.length}`,
    ...headers.map(([name, value]) => `${name}: ${bytesOf(value)}`),
  ];
  const answer = await exchange(as, `${lines.join("\r\n")}\r\n\r\n${review}`, () => false);
  return answerOf(Number(answer.split(" ")[1]), answer.slice(answer.indexOf("\r\n\r\n") + 4));
}

async function byHttp2(as: Partial<KeyAndCertificate>, headers: Headers): Promise<Answer> {
  const client = await Http2Client.connect(place(as));
  const lowered = headers.map(([name, value]) => [name.toLowerCase(), bytesOf(value)] as const);
  const stream = client.begin("POST", path, [["content-type", "application/json"], ...lowered], false);
  client.send(frameTypes.data, flags.endStream, stream, Buffer.from(review));
  const { status, body } = await client.answer(stream);
  client.close();
  return answerOf(status, body.toString());
}

function answerOf(code: number, body: string): Answer {
  const { status } = JSON.parse(body) as { status?: { userInfo?: object } };
  return { code, user: status?.userInfo };
}

const issue = (
  authority: KeyAndCertificate,
  commonName: string,
  usages: readonly string[] = [clientAuth],
): Promise<KeyAndCertificate> => issueCertificate(authority, { commonName }, usages);

const refused: Answer = { code: 401, user: undefined };
const asUser = (user: object): Answer => ({ code: 201, user });
const authenticated = "system:authenticated";

describe.each([
  ["HTTP/1.1", byHttp1],
  ["HTTP/2", byHttp2],
] as const)("by %s", (_, ask) => {
  const asProxy = (...headers: Headers): Promise<Answer> => ask(proxy, headers);

  test("a proxy says who its client is, with groups, UID and extra", async () => {
    expect(
      await asProxy(
        ["X-Remote-User", "ann"],
        ["X-Remote-Group", "g1"],
        ["X-Remote-Group", "g2, g3"],
        ["x-remote-uid", "u1"],
        ["X-Remote-Extra-Example.org%2fScopes", "a, b"],
        ["X-REMOTE-EXTRA-example.org%2Fscopes", "c"],
      ),
    ).toEqual(
      asUser({
        username: "ann",
        uid: "u1",
        groups: ["g1", "g2, g3", authenticated],
        extra: { "example.org/scopes": ["a, b", "c"] },
      }),
    );
  });

  test("names beyond ASCII are UTF-8, and keys that are encoded wrongly stay as they are", async () => {
    expect(
      await asProxy(
        ["X-Remote-User", "jürgen"],
        ["X-Remote-Group", "größe"],
        ["X-Remote-Extra-%C3%BC", "ü"],
        ["X-Remote-Extra-%ff", "x"],
        ["X-Remote-Extra-%zz", "y"],
        ["X-Remote-Extra-a+b", "z"],
        ["X-Remote-Extra-", "empty"],
      ),
    ).toEqual(
      asUser({
        username: "jürgen",
        groups: ["größe", authenticated],
        extra: { "": ["empty"], "%zz": ["y"], "a+b": ["z"], ü: ["ü"], "\ufffd": ["x"] },
      }),
    );
  });

  test("of several headers the first counts for a name, and all for groups and extra", async () => {
    expect(await asProxy(["X-Remote-User", "bob"], ["X-Remote-User", "ann"])).toEqual(
      asUser({ username: "bob", groups: [authenticated] }),
    );
    expect(
      await asProxy(
        ["X-Second-User", "two"],
        ["X-Second-Group", "s"],
        ["X-Remote-Group", "r"],
        ["X-Second-Extra-k", "2"],
        ["X-Remote-Extra-k", "1"],
        ["X-Remote-Extra-e", ""],
      ),
    ).toEqual(asUser({ username: "two", groups: ["r", "s", authenticated], extra: { k: ["1", "2"], e: [""] } }));
    expect(
      await asProxy(["X-Remote-User", "ann"], ["X-Remote-Group", ""], ["X-Remote-Uid", ""], ["X-Remote-Uid", "u2"]),
    ).toEqual(asUser({ username: "ann", groups: [authenticated] }));
  });

  test("a proxy may say that nobody is known, and nothing is added", async () => {
    const anonymous = ["X-Remote-User", "system:anonymous"] as const;
    expect((await asProxy(anonymous)).code).toBe(403);
    expect(await asProxy(anonymous, ["X-Remote-Group", "system:masters"])).toEqual(
      asUser({ username: "system:anonymous", groups: ["system:masters"] }),
    );
  });

  test("without a name it is nobody, unless there is a token", async () => {
    expect(await asProxy()).toEqual(refused);
    expect(await asProxy(["X-Remote-User", ""])).toEqual(refused);
    expect(await asProxy(["X-Remote-User", ""], ["X-Remote-User", "bob"])).toEqual(refused);
    expect(await asProxy(["X-Remote-Group", "system:masters"])).toEqual(refused);
    const robot = { username: "system:serviceaccount:default:robot" };
    expect(await asProxy(["Authorization", `Bearer ${token}`])).toMatchObject(asUser(robot));
    // It comes before the token.
    expect(await asProxy(["Authorization", `Bearer ${token}`], ["X-Remote-User", "ann"])).toEqual(
      asUser({ username: "ann", groups: [authenticated] }),
    );
  });

  test("its user acts as another where that one may", async () => {
    const masters = ["X-Remote-Group", "system:masters"] as const;
    expect(await asProxy(["X-Remote-User", "ann"], masters, ["Impersonate-User", "jürgen"])).toEqual(
      asUser({ username: "jürgen", groups: [authenticated] }),
    );
    expect((await asProxy(["X-Remote-User", "ann"], ["Impersonate-User", "zed"])).code).toBe(403);
  });

  test("who is not among the names of proxies is refused, whatever it says", async () => {
    const stranger = await issue(frontProxies, "stranger");
    expect(await ask(stranger, [["X-Remote-User", "ann"]])).toEqual(refused);
    expect(await ask(stranger, [])).toEqual(refused);
    const other = await issue(frontProxies, "other-proxy");
    expect(await ask(other, [["X-Remote-User", "ann"]])).toMatchObject(asUser({ username: "ann" }));
  });

  test("who is no proxy stays who it is", async () => {
    const lie: Headers = [
      ["X-Remote-User", "ann"],
      ["X-Remote-Group", "system:masters"],
    ];
    const bob = await issue(clients, "bob");
    expect(await ask(bob, lie)).toMatchObject(asUser({ username: "bob", groups: [authenticated] }));
    const named = await issue(clients, "front-proxy-client");
    expect(await ask(named, lie)).toMatchObject(asUser({ username: "front-proxy-client", groups: [authenticated] }));
    expect(await ask({}, [...lie, ["Authorization", `Bearer ${token}`]])).toMatchObject(
      asUser({ username: "system:serviceaccount:default:robot" }),
    );
    expect((await ask({}, lie)).code).toBe(403);
  });

  test("a certificate counts by its usages, and one of another cluster not at all", async () => {
    const lie: Headers = [["X-Remote-User", "ann"]];
    expect(await ask(await issue(frontProxies, "front-proxy-client", []), lie)).toMatchObject({ code: 201 });
    expect(await ask(await issue(frontProxies, "front-proxy-client", [serverAuth]), lie)).toEqual(refused);
    expect(await ask(await issue(clients, "bob", []), [])).toMatchObject(asUser({ username: "bob" }));
    expect(await ask(await issue(clients, "bob", [serverAuth]), [])).toEqual(refused);
    const rogue = await issue(await createCertificateAuthority("bramble-front-proxy-ca"), "front-proxy-client");
    expect(await ask(rogue, lie)).toEqual(refused);
    expect(await ask(rogue, [["Authorization", `Bearer ${token}`]])).toMatchObject({ code: 201 });
  });

  test("what lies between a certificate and its authority leads to that one alone", async () => {
    const between = await createCertificateAuthority("between");
    const under = async (authority: KeyAndCertificate, leaf: KeyAndCertificate) => ({
      ...leaf,
      certificatePem: leaf.certificatePem + (await crossCertify(authority, between.certificatePem)),
    });
    const leaf = await issue(between, "front-proxy-client");
    const headers: Headers = [["X-Remote-User", "ann"]];
    expect(await ask(await under(frontProxies, leaf), headers)).toMatchObject(asUser({ username: "ann" }));
    expect(await ask(await under(clients, leaf), headers)).toMatchObject(asUser({ username: "front-proxy-client" }));
    expect(await ask(leaf, headers)).toEqual(refused);
    // Its key stands under both authorities, but this certificate only under that of proxies.
    expect(await ask(await under(frontProxies, await issue(between, "bob")), [])).toEqual(refused);
  });
});

describe("a watch by WebSocket", () => {
  const upgrade = (as: KeyAndCertificate, headers: Headers): Promise<string> => {
    const lines = [
      "GET /api/v1/namespaces?watch=1 HTTP/1.1",
      "Host: localhost",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ...headers.map(([name, value]) => `${name}: ${value}`),
    ];
    return exchange(as, `${lines.join("\r\n")}\r\n\r\n`, (answer) => /"name":"kube-system"|HTTP\/1.1 4/.test(answer));
  };

  test("is the proxy's client's", async () => {
    const masters = ["X-Remote-Group", "system:masters"] as const;
    expect(await upgrade(proxy, [["X-Remote-User", "ann"], masters])).toContain('"name":"kube-system"');
    expect(await upgrade(proxy, [["X-Remote-User", "ann"]])).toContain('User \\"ann\\" cannot watch');
    expect(await upgrade(proxy, [masters])).toStartWith("HTTP/1.1 401");
    expect(await upgrade(await issue(frontProxies, "stranger"), [["X-Remote-User", "ann"], masters])).toStartWith(
      "HTTP/1.1 401",
    );
  });
});

test("clients are asked for certificates of both authorities", async () => {
  const { host, port, ca } = place();
  const asking = Bun.spawn(["openssl", "s_client", "-connect", `${host}:${port}`, "-servername", "localhost"], {
    stdin: "ignore",
    stderr: "ignore",
  });
  const said = await new Response(asking.stdout).text();
  expect(ca).not.toBe("");
  expect(said).toContain("Acceptable client certificate CA names");
  expect(said).toMatch(/CN ?= ?bramble-ca\n/);
  expect(said).toMatch(/CN ?= ?bramble-front-proxy-ca\n/);
});
