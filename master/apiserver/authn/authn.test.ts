import { describe, expect, test } from "bun:test";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { nodes, pods, secrets, serviceAccounts } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { createCertificateAuthority, issueCertificate, lenientValidity } from "#shared/pki/certificate.ts";
import { extendedKeyUsages, type Validity } from "#shared/pki/certificate-facts.ts";
import { createServiceAccountKey, parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import { BootstrapTokens } from "./bootstrap-token.ts";
import { authenticatorChain, bearerTokens } from "./chain.ts";
import { ClientIdentities } from "./client-identity.ts";
import { openIdDocuments } from "./openid-discovery.ts";
import { SecretTokenUse } from "./secret-token-use.ts";
import { type KubernetesClaim, ServiceAccountIssuer } from "./service-account-issuer.ts";
import { ServiceAccountTokens } from "./service-account-token.ts";
import { unionOfTokens } from "./token-authenticator.ts";
import { ClientCertificates } from "./x509.ts";

const issuerUrl = "https://kubernetes.default.svc.cluster.local";
const keys = parseServiceAccountKeys(createServiceAccountKey());
const issuer = new ServiceAccountIssuer(issuerUrl, keys);
const start_s = 1_800_000_000;

function clusterWith(): MapReader {
  const metadata = (name: string, uid: string) => ({ name, namespace: "blue", uid });
  return new MapReader()
    .put(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata("robot", "sa-1") })
    .put(pods, { apiVersion: "v1", kind: "Pod", metadata: metadata("web", "pod-1"), spec: { containers: [] } })
    .put(nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "a", uid: "node-1" }, spec: {} });
}

const issue = (more: Partial<KubernetesClaim> = {}, audiences: string[] = [issuerUrl]) =>
  issuer.issue({
    kubernetes: { namespace: "blue", serviceaccount: { name: "robot", uid: "sa-1" }, ...more },
    audiences,
    issuedAt: start_s,
    expiresAt: start_s + 3600,
  });

describe("service account tokens", () => {
  const reader = clusterWith();
  let now_ms = start_s * 1000;
  const tokens = new ServiceAccountTokens(issuer, reader, { now_ms: () => now_ms });

  test("name the service account, its groups, pod and node", async () => {
    now_ms = start_s * 1000;
    const { token, id } = await issue({ pod: { name: "web", uid: "pod-1" }, node: { name: "a", uid: "node-1" } });
    expect(await tokens.authenticateToken(token)).toEqual({
      audiences: [issuerUrl],
      user: {
        name: "system:serviceaccount:blue:robot",
        uid: "sa-1",
        groups: ["system:serviceaccounts", "system:serviceaccounts:blue"],
        extra: {
          "authentication.kubernetes.io/credential-id": [`JTI=${id}`],
          "authentication.kubernetes.io/pod-name": ["web"],
          "authentication.kubernetes.io/pod-uid": ["pod-1"],
          "authentication.kubernetes.io/node-name": ["a"],
          "authentication.kubernetes.io/node-uid": ["node-1"],
        },
      },
    });
  });

  test("end, and do not begin early", async () => {
    const { token } = await issue();
    now_ms = (start_s + 3600 + 61) * 1000;
    await expect(tokens.authenticateToken(token)).rejects.toThrow("service account token has expired");
    now_ms = (start_s - 61) * 1000;
    await expect(tokens.authenticateToken(token)).rejects.toThrow("service account token is not valid yet");
    now_ms = start_s * 1000;
    expect((await tokens.authenticateToken(token))?.user.name).toBe("system:serviceaccount:blue:robot");
  });

  test("are for their audience alone", async () => {
    const { token } = await issue({}, ["vault"]);
    await expect(tokens.authenticateToken(token)).rejects.toThrow('token audiences ["vault"] is invalid');
    expect((await tokens.authenticateToken(token, ["vault", "x"]))?.audiences).toEqual(["vault"]);
  });

  test("die with what they are bound to, even when seen before", async () => {
    const own = clusterWith();
    const checked = new ServiceAccountTokens(issuer, own, { now_ms: () => start_s * 1000 });
    const { token } = await issue({ pod: { name: "web", uid: "pod-1" } });
    expect(await checked.authenticateToken(token)).toBeDefined();
    own.remove(pods, { namespace: "blue", name: "web" });
    await expect(checked.authenticateToken(token)).rejects.toThrow("service account token has been invalidated");
    own.put(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web", namespace: "blue", uid: "pod-2" },
      spec: { containers: [] },
    });
    await expect(checked.authenticateToken(token)).rejects.toThrow("pod UID (pod-2) does not match");
    const bare = await issue();
    own.remove(serviceAccounts, { namespace: "blue", name: "robot" });
    await expect(checked.authenticateToken(bare.token)).rejects.toThrow('serviceaccounts "robot" not found');
  });

  test("of another key or a changed body are refused; of another issuer are not ours", async () => {
    const stranger = new ServiceAccountIssuer(issuerUrl, parseServiceAccountKeys(createServiceAccountKey()));
    const claims = {
      kubernetes: { namespace: "blue", serviceaccount: { name: "robot", uid: "sa-1" } },
      audiences: [issuerUrl],
      issuedAt: start_s,
      expiresAt: start_s + 3600,
    };
    await expect(tokens.authenticateToken((await stranger.issue(claims)).token)).rejects.toThrow("invalid signature");
    const [head, body = "", tail] = (await issue()).token.split(".");
    const forged = JSON.parse(Buffer.from(body, "base64url").toString());
    forged.sub = "system:serviceaccount:kube-system:admin";
    const changed = [head, Buffer.from(JSON.stringify(forged)).toString("base64url"), tail].join(".");
    await expect(tokens.authenticateToken(changed)).rejects.toThrow("invalid signature");
    const elsewhere = new ServiceAccountIssuer("https://elsewhere", keys);
    expect(await tokens.authenticateToken((await elsewhere.issue(claims)).token)).toBeUndefined();
    expect(await tokens.authenticateToken("not-a-jwt")).toBeUndefined();
  });

  test("verify by the published key set", async () => {
    const documents = openIdDocuments(issuer, "10.0.0.1:6443");
    const keySet = JSON.parse(documents["/openid/v1/jwks"].body) as JSONWebKeySet;
    expect(JSON.stringify(keySet)).not.toContain('"d"');
    const { token } = await issue();
    const { payload } = await jwtVerify(token, createLocalJWKSet(keySet), {
      issuer: issuerUrl,
      currentDate: new Date(start_s * 1000),
    });
    expect(payload["kubernetes.io"]).toEqual({ namespace: "blue", serviceaccount: { name: "robot", uid: "sa-1" } });
    expect(JSON.parse(documents["/.well-known/openid-configuration"].body)).toEqual({
      issuer: issuerUrl,
      jwks_uri: "https://10.0.0.1:6443/openid/v1/jwks",
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
    });
  });
});

test("the use of a token in a Secret is written down by the day, and a marked one is refused", async () => {
  const written: unknown[] = [];
  const client = { patch: async (...call: unknown[]) => void written.push(call[2]) } as unknown as Client;
  const use = new SecretTokenUse(() => client);
  const secret: Secret = { apiVersion: "v1", kind: "Secret", metadata: { namespace: "blue", name: "t", uid: "s-1" } };
  const [day_ms, label] = [86_400_000, "kubernetes.io/legacy-token-last-used"];
  for (const time_ms of [0, 5, day_ms, day_ms + 5]) use.note(secret, "robot", time_ms);
  use.note({ ...secret, metadata: { uid: "s-2", labels: { [label]: "1970-01-02" } } }, "robot", day_ms);
  const body = (day: string) => ({ type: "merge", body: { metadata: { uid: "s-1", labels: { [label]: day } } } });
  expect(written).toEqual([body("1970-01-01"), body("1970-01-02")]);
  await Bun.sleep(0);
  const marked = { "kubernetes.io/legacy-token-invalid-since": "1970-01-01" };
  expect(() => use.note({ ...secret, metadata: { ...secret.metadata, labels: marked } }, "robot", 0)).toThrow(
    "the token in secret blue/t for service account blue/robot has been marked invalid",
  );
  const forgiven = { "kubernetes.io/legacy-token-invalid-since": "", [label]: "1970-01-01" };
  use.note({ ...secret, metadata: { ...secret.metadata, labels: forgiven } }, "robot", 0);
  // Whoever wants to keep one sees by that who still needs it.
  expect(written).toEqual([body("1970-01-01"), body("1970-01-02"), body("1970-01-01")]);
});

test("who comes with a token that was made unasked is told to use another", async () => {
  const secret = { name: "robot-token-x", uid: "s-1" };
  const { token } = await issue({ secret });
  const warningsWith = async (listed: readonly string[]): Promise<string[]> => {
    const reader = clusterWith()
      .put(secrets, { apiVersion: "v1", kind: "Secret", metadata: { ...secret, namespace: "blue" } })
      .put(serviceAccounts, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: "robot", namespace: "blue", uid: "sa-1" },
        secrets: listed.map((name) => ({ name })),
      });
    const tokens = new ServiceAccountTokens(issuer, reader, { now_ms: () => start_s * 1000 });
    const warnings: string[] = [];
    await bearerTokens(tokens).authenticate({ headers: { authorization: `Bearer ${token}` }, warnings });
    return warnings;
  };
  expect(await warningsWith(["other"])).toEqual([]);
  expect(await warningsWith(["other", secret.name])).toEqual([
    "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.",
  ]);
});

describe("bootstrap tokens", () => {
  const token = "abcdef.0123456789abcdef";
  const data = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]));
  const good = { "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true" };
  const secret = (values: Record<string, string>, more: Partial<Secret> = {}): Secret => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    data: data(values),
    ...more,
  });
  const ask = (found: Secret, text = token) =>
    new BootstrapTokens(new MapReader().put(secrets, found), () => start_s * 1000).authenticateToken(text);

  test("name their user and groups", async () => {
    const found = secret({ ...good, "auth-extra-groups": "system:bootstrappers:bramble:boards" });
    expect((await ask(found))?.user).toEqual({
      name: "system:bootstrap:abcdef",
      groups: ["system:bootstrappers", "system:bootstrappers:bramble:boards"],
    });
  });

  test("are unknown when anything is wrong", async () => {
    expect(await ask(secret(good), "abcdef.0123456789abcdee")).toBeUndefined();
    expect(await ask(secret(good), "abcdeg.0123456789abcdef")).toBeUndefined();
    expect(await ask(secret({ ...good, "usage-bootstrap-authentication": "false" }))).toBeUndefined();
    expect(await ask(secret(good, { type: "Opaque" }))).toBeUndefined();
  });

  test("expire, and a date that is none counts as past", async () => {
    const until = (expiration: string) => ask(secret({ ...good, expiration }));
    await expect(until(new Date((start_s - 1) * 1000).toISOString())).rejects.toThrow("expired");
    await expect(until("soon")).rejects.toThrow("expired");
    expect(await until(new Date((start_s + 1) * 1000).toISOString())).toBeDefined();
  });

  test("cannot bring in other groups", async () => {
    await expect(ask(secret({ ...good, "auth-extra-groups": "system:masters" }))).rejects.toThrow("invalid");
  });
});

describe("the chain", () => {
  const reader = clusterWith();
  const tokens = unionOfTokens([
    new ServiceAccountTokens(issuer, reader, { now_ms: () => start_s * 1000 }),
    new BootstrapTokens(reader),
  ]);
  const chain = authenticatorChain([new ClientCertificates(new ClientIdentities()), bearerTokens(tokens)]);
  const certificate = async (usages: string[], validity: Validity = lenientValidity(1)) => {
    const ca = await createCertificateAuthority("ca");
    const { certificatePem } = await issueCertificate(
      ca,
      { commonName: "anna", organizations: ["developers", "system:masters"] },
      usages,
      validity,
    );
    const raw = Buffer.from(certificatePem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
    return { raw, isClients: true, isFrontProxys: false };
  };

  test("takes name and groups from a certificate", async () => {
    const user = await chain.authenticate({
      headers: {},
      clientCertificate: await certificate([extendedKeyUsages.clientAuth]),
    });
    expect(user).toMatchObject({ name: "anna", groups: ["developers", "system:masters", "system:authenticated"] });
  });

  test("refuses a certificate that is not for clients, or is over", async () => {
    const past = { notBefore: new Date(0), notAfter: new Date(1000) };
    for (const clientCertificate of [
      await certificate([extendedKeyUsages.serverAuth]),
      await certificate([extendedKeyUsages.clientAuth], past),
    ])
      await expect(chain.authenticate({ headers: {}, clientCertificate })).rejects.toThrow("Unauthorized");
  });

  test("takes a bearer token, also from a WebSocket's protocols", async () => {
    const { token } = await issue();
    const name = "system:serviceaccount:blue:robot";
    expect((await chain.authenticate({ headers: { authorization: `Bearer ${token}` } })).name).toBe(name);
    const encoded = Buffer.from(token).toString("base64url");
    const protocols = `v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.${encoded}`;
    expect((await chain.authenticate({ headers: { "sec-websocket-protocol": protocols } })).name).toBe(name);
  });

  test("refuses a wrong token, and lets the one without any in as anonymous", async () => {
    await expect(chain.authenticate({ headers: { authorization: "Bearer nonsense" } })).rejects.toThrow("Unauthorized");
    expect(await chain.authenticate({ headers: {} })).toEqual({
      name: "system:anonymous",
      groups: ["system:unauthenticated"],
    });
  });
});
