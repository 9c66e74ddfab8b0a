/** Beside what upstream's plugin was seen to ask and to make of answers. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { admit, writeOf } from "../../../../test/support/admission.ts";
import type { AdmissionAttributes } from "../admission.ts";
import { readAdmissionConfiguration } from "../admission-configuration.ts";
import { type ImagePolicy, ImagePolicyWebhook } from "./image-policy-webhook.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-images-"));
const kubeconfig = join(folder, "images.kubeconfig");
afterAll(() => rmSync(folder, { recursive: true }));

interface Asked {
  readonly spec: { readonly containers?: readonly { readonly image: string }[] };
}

const asked: Asked[] = [];
let service: ReturnType<typeof Bun.serve>;

function answerTo({ spec }: Asked): Response {
  const status = (value: object): Response =>
    Response.json({ apiVersion: "imagepolicy.k8s.io/v1alpha1", kind: "ImageReview", status: value });
  switch (spec.containers?.[0]?.image) {
    case "bad":
      return status({ allowed: false, reason: "bad image", auditAnnotations: { why: "bad" } });
    case "silent":
      return status({ allowed: false });
    case "broken":
      return new Response("HTTP Error", { status: 500 });
    case "missing":
      return new Response("nope", { status: 404 });
    default:
      return status({ allowed: true, auditAnnotations: { seen: "yes", "no name!": "x" } });
  }
}

beforeAll(() => {
  service = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const review = (await request.json()) as Asked;
      asked.push(review);
      return answerTo(review);
    },
  });
  const named = (kind: string, value: object): object[] => [{ name: "a", [kind]: value }];
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "a",
      contexts: named("context", { cluster: "a", user: "a" }),
      clusters: named("cluster", { server: `${service.url}images` }),
      users: named("user", {}),
    }),
  );
});
afterAll(() => service.stop(true));
beforeEach(() => {
  asked.length = 0;
});

const policy: ImagePolicy = {
  kubeconfig,
  allowTtl_ms: 60_000,
  denyTtl_ms: 0,
  firstPause_ms: 1,
  allowsByDefault: false,
};

function podOf(image: string): Pod {
  const annotations = { "my.image-policy.k8s.io/ticket": "7", other: "x" };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "blue", annotations },
    spec: { containers: [{ name: "c", image }], initContainers: [{ name: "i", image: "first" }] },
  };
}

/** The audit's annotations of a write that is let in. */
async function admitted(plugin: ImagePolicyWebhook, image: string, more: Partial<AdmissionAttributes> = {}) {
  const write = { ...writeOf(pods, podOf(image)), namespace: "blue", ...more };
  await admit(plugin, write);
  return write.auditAnnotations;
}

test("asks of all images of a pod, and remembers the answer", async () => {
  const plugin = new ImagePolicyWebhook(policy);
  const prefix = "imagepolicywebhook.image-policy.k8s.io";
  for (let times = 0; times < 2; times += 1)
    expect(await admitted(plugin, "good")).toEqual({ [`${prefix}/seen`]: "yes" });
  expect(asked as unknown[]).toEqual([
    {
      kind: "ImageReview",
      apiVersion: "imagepolicy.k8s.io/v1alpha1",
      metadata: {},
      spec: {
        containers: [{ image: "good" }, { image: "first" }],
        annotations: { "my.image-policy.k8s.io/ticket": "7" },
        namespace: "blue",
      },
      status: { allowed: false },
    },
  ]);
});

test("refuses what the service refuses, each time anew where it is to forget that", async () => {
  const plugin = new ImagePolicyWebhook(policy);
  for (let times = 0; times < 2; times += 1)
    await expect(admitted(plugin, "bad")).rejects.toThrow(
      'pods "web" is forbidden: image policy webhook backend denied one or more images: bad image',
    );
  expect(asked).toHaveLength(2);
  await expect(admitted(plugin, "silent")).rejects.toThrow(
    'pods "web" is forbidden: one or more images rejected by webhook backend',
  );
});

test("of an update of ephemeral containers it asks for those, of other subresources nothing", async () => {
  const plugin = new ImagePolicyWebhook(policy);
  const pod = podOf("good");
  const object = { ...pod, spec: { ...pod.spec, ephemeralContainers: [{ name: "e", image: "bad" }] } } as Pod;
  const update = { operation: "UPDATE", object, oldObject: pod } as const;
  await expect(admitted(plugin, "", { ...update, subresource: "ephemeralcontainers" })).rejects.toThrow("bad image");
  expect(asked.map(({ spec }) => spec.containers)).toEqual([[{ image: "bad" }]]);
  await admitted(plugin, "", { ...update, subresource: "status" });
  expect(asked).toHaveLength(1);
});

test("a service that fails is asked again where that may help; pods are let in then only where that is said", async () => {
  const plugin = new ImagePolicyWebhook(policy);
  await expect(admitted(plugin, "broken")).rejects.toThrow(
    'pods "web" is forbidden: an error on the server ("HTTP Error") has prevented the request from succeeding',
  );
  expect(asked).toHaveLength(5);
  await expect(admitted(plugin, "missing")).rejects.toThrow(
    'pods "web" is forbidden: the server could not find the requested resource',
  );
  expect(asked).toHaveLength(6);
  const open = new ImagePolicyWebhook({ ...policy, allowsByDefault: true });
  expect(await admitted(open, "missing")).toEqual({ "imagepolicywebhook.image-policy.k8s.io/failed-open": "true" });
});

test("its settings are upstream's, with upstream's bounds", () => {
  const path = join(folder, "admission.yaml");
  const read = (settings: object): ImagePolicy | undefined => {
    const plugins = [{ name: "ImagePolicyWebhook", configuration: { imagePolicy: settings } }];
    writeFileSync(
      path,
      JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "AdmissionConfiguration", plugins }),
    );
    return readAdmissionConfiguration(path).imagePolicy;
  };
  const usual = { allowTtl_ms: 300_000, denyTtl_ms: 30_000, firstPause_ms: 500, allowsByDefault: false };
  expect(read({ kubeConfigFile: kubeconfig })).toEqual({ kubeconfig, ...usual });
  const set = { kubeConfigFile: kubeconfig, allowTTL: 50, denyTTL: -1, retryBackoff: 200, defaultAllow: true };
  expect(read(set)).toEqual({
    kubeconfig,
    allowTtl_ms: 50_000,
    denyTtl_ms: 0,
    firstPause_ms: 200,
    allowsByDefault: true,
  });
  expect(() => read({ kubeConfigFile: kubeconfig, allowTTL: 2000 })).toThrow(
    "valid value is between 1s and 30m0s, got 33m20s",
  );
  expect(() => read({ kubeConfigFile: kubeconfig, retryBackoff: 400_000 })).toThrow(
    "valid value is between 1ns and 5m0s, got 6m40s",
  );
  expect(() => new ImagePolicyWebhook({ ...policy, kubeconfig: join(folder, "none") })).toThrow("ImagePolicyWebhook: ");
});
