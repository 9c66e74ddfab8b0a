import { expect, test } from "bun:test";
import { compactVerify } from "jose";
import { configMaps, secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import { bootstrapSigner, detachedSignature, signedData, signingTokens } from "./bootstrap-signer.ts";
import { eventually } from "./testing/eventually.ts";
import { Harness } from "./testing/harness.ts";

const encode = (data: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]));
const token = (id: string, more: Record<string, string> = {}): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: `bootstrap-token-${id}`, namespace: "kube-system" },
  type: "bootstrap.kubernetes.io/token",
  data: encode({ "token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true", ...more }),
});

test("a detached signature is a JSON Web Signature once the content is put back", async () => {
  const [header, , signature] = detachedSignature("content", "abcdef", "0123456789abcdef").split(".");
  const whole = `${header}.${Buffer.from("content").toString("base64url")}.${signature}`;
  const { protectedHeader } = await compactVerify(whole, new TextEncoder().encode("0123456789abcdef"));
  expect(protectedHeader).toEqual({ alg: "HS256", kid: "abcdef" });
});

test("only tokens that may sign and have not expired do", () => {
  const now_ms = Date.parse("2026-01-01T00:00:00Z");
  const all = [
    token("aaaaaa"),
    token("bbbbbb", { "usage-bootstrap-signing": "false" }),
    token("cccccc", { expiration: "2025-12-31T00:00:00Z" }),
    token("dddddd", { expiration: "2026-12-31T00:00:00Z" }),
    { ...token("eeeeee"), metadata: { name: "bootstrap-token-other" } },
  ];
  expect([...signingTokens(all, now_ms).keys()]).toEqual(["aaaaaa", "dddddd"]);
});

test("signatures of tokens that are gone go, what people wrote stays", () => {
  const data = { kubeconfig: "k", "jws-kubeconfig-gone": "x", note: "kept" };
  const signed = signedData(data, new Map([["aaaaaa", "0123456789abcdef"]]));
  expect(Object.keys(signed).sort()).toEqual(["jws-kubeconfig-aaaaaa", "kubeconfig", "note"]);
  expect(signedData({ note: "kept" }, new Map([["aaaaaa", "s"]]))).toEqual({ note: "kept" });
});

test("cluster-info is signed as tokens come and go", async () => {
  const harness = await Harness.onApiServer();
  const { client } = harness;
  await harness.run(bootstrapSigner);
  const metadata = { namespace: "kube-public", name: "cluster-info" };
  await client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { kubeconfig: "k" } });
  await client.create(secrets, token("aaaaaa"));
  const names = async () => Object.keys((await client.get(configMaps, metadata)).data ?? {}).sort();
  await eventually(async () => (await names()).includes("jws-kubeconfig-aaaaaa"), "a signature");
  await client.delete(secrets, { namespace: "kube-system", name: "bootstrap-token-aaaaaa" });
  await eventually(async () => (await names()).join() === "kubeconfig", "no signature");
  await harness.stop();
});
