/** Admission and conversion webhooks, served over HTTPS behind Services. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  configMaps,
  customResourceDefinitions,
  mutatingWebhookConfigurations,
  pods,
  validatingWebhookConfigurations,
} from "#shared/api/resources.ts";
import type {
  MutatingWebhookConfiguration,
  ValidatingWebhookConfiguration,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { ConfigMap, Pod } from "#shared/api/types/core-v1.generated.ts";
import {
  type BackingServer,
  type ExtendedServer,
  eventually,
  startBacking,
  startExtendedServer,
} from "./extended-server.ts";

setDefaultTimeout(300_000);

interface Review {
  readonly request: {
    readonly uid: string;
    readonly operation: string;
    readonly name?: string;
    readonly namespace?: string;
    readonly kind: { readonly version: string };
    readonly requestKind: { readonly version: string };
    readonly object: {
      readonly apiVersion: string;
      readonly metadata: { readonly name: string; readonly labels?: object };
      readonly data?: Record<string, string>;
    } | null;
    readonly oldObject: object | null;
    readonly desiredAPIVersion?: string;
    readonly objects?: (KubeObject & { hostPort?: string; host?: string; port?: string })[];
  };
}

let server: ExtendedServer;
let hook: BackingServer;
const asked: { path: string; review: Review }[] = [];
/** Called when nobody waits any more for an answer that does not come. */
let givenUp: () => void = () => undefined;

const patch = (steps: readonly object[]): object => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(steps)).toString("base64"),
});

/** What each path of the webhook answers. */
const answers: Readonly<Record<string, (review: Review) => object | undefined>> = {
  "/deny": () => ({ allowed: false, status: { message: "not today", code: 403, reason: "Forbidden" } }),
  "/warn": () => ({ allowed: true, warnings: ["think twice"] }),
  "/label": ({ request }) =>
    patch([
      {
        op: "add",
        path: "/metadata/labels",
        value: { by: "webhook", seen: String(Object.keys(request.object?.metadata.labels ?? {}).length) },
      },
    ]),
  "/data": ({ request }) =>
    request.object?.data?.["added"] === "1"
      ? { allowed: true }
      : patch([{ op: "add", path: "/data/added", value: "1" }]),
  "/init": () => patch([{ op: "add", path: "/spec/initContainers", value: [{ name: "first", image: "first" }] }]),
  "/prune": () =>
    patch([
      { op: "add", path: "/spec/known", value: "yes" },
      { op: "add", path: "/spec/unknown", value: "no" },
    ]),
  "/slow": () => undefined,
};

beforeAll(async () => {
  server = await startExtendedServer(["hooks", "work"]);
  hook = await startBacking(server, "hooks", "hook", ({ request, body }, response) => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    const review = JSON.parse(body) as Review;
    asked.push({ path, review });
    if (path === "/convert") {
      response.end(
        JSON.stringify({
          kind: "ConversionReview",
          apiVersion: "apiextensions.k8s.io/v1",
          response: converted(review),
        }),
      );
      return;
    }
    const answer = answers[path]?.(review);
    if (!answer) {
      response.once("close", () => givenUp());
      return;
    }
    const response_ = { uid: review.request.uid, ...answer };
    response.end(JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", response: response_ }));
  });
});

afterAll(async () => {
  hook.stop();
  await server.stop();
});

/** v1 has `hostPort`, v2 `host` and `port`. */
function converted({ request }: Review): object {
  const { desiredAPIVersion = "", objects = [] } = request;
  const convertedObjects = objects.map(({ hostPort, host, port, ...rest }) => {
    if (desiredAPIVersion.endsWith("/v2")) {
      const [a, b] = (hostPort ?? "").split(":");
      return { ...rest, apiVersion: desiredAPIVersion, host: a, port: b };
    }
    return { ...rest, apiVersion: desiredAPIVersion, hostPort: `${host}:${port}` };
  });
  return { uid: request.uid, result: { status: "Success" }, convertedObjects };
}

const webhook = (path: string, more: object = {}) => ({
  name: `${path.slice(1)}.example.com`,
  clientConfig: { service: { namespace: "hooks", name: "hook", path }, caBundle: hook.caBundle },
  admissionReviewVersions: ["v1"],
  sideEffects: "None",
  rules: [
    { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["configmaps", "pods"] },
  ],
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "work" } },
  ...more,
});

async function withHooks(
  kind: "Mutating" | "Validating",
  webhooks: readonly object[],
  run: () => Promise<void>,
): Promise<void> {
  const ref = (kind === "Mutating" ? mutatingWebhookConfigurations : validatingWebhookConfigurations) as ResourceRef<
    MutatingWebhookConfiguration | ValidatingWebhookConfiguration
  >;
  const name = `test-${kind.toLowerCase()}`;
  const apiVersion = "admissionregistration.k8s.io/v1";
  await server.client.create(ref, {
    apiVersion,
    kind: `${kind}WebhookConfiguration`,
    metadata: { name },
    webhooks,
  } as never);
  try {
    await run();
  } finally {
    await server.client.delete(ref, { name });
  }
}

const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});
const create = (object: ConfigMap, dryRun = false): Promise<ConfigMap> =>
  server.client.create(configMaps, object, { namespace: "work", dryRun });

describe("admission webhooks", () => {
  test("are trusted by their own certificate as well as by its issuer's", async () => {
    const { clientConfig, ...hookOf } = webhook("/deny");
    const own = { ...hookOf, clientConfig: { ...clientConfig, caBundle: hook.ownBundle } };
    await withHooks("Validating", [own], async () => {
      await expect(create(configMap("trusted"))).rejects.toThrow(
        'admission webhook "deny.example.com" denied the request',
      );
    });
  });

  test("are asked at a path without a slash at its end", async () => {
    await withHooks("Validating", [{ ...webhook("/deny/"), name: "deny.example.com" }], async () => {
      await expect(create(configMap("path"))).rejects.toThrow(
        'admission webhook "deny.example.com" denied the request',
      );
    });
  });

  test("refuse in their own words, and only where they are meant", async () => {
    await withHooks("Validating", [webhook("/deny")], async () => {
      await expect(create(configMap("a"))).rejects.toThrow(
        'admission webhook "deny.example.com" denied the request: not today',
      );
      await server.client.create(configMaps, configMap("a"), { namespace: "hooks" });
    });
    await withHooks("Validating", [webhook("/deny", { objectSelector: { matchLabels: { x: "y" } } })], async () => {
      await create(configMap("unselected"));
    });
    await withHooks(
      "Validating",
      [webhook("/deny", { matchConditions: [{ name: "c", expression: "object.metadata.name != 'skipped'" }] })],
      async () => {
        await create(configMap("skipped"));
        await expect(create(configMap("b"))).rejects.toThrow("not today");
      },
    );
  });

  test("change objects, in order and once more where others changed them after", async () => {
    await withHooks("Mutating", [webhook("/label", { reinvocationPolicy: "IfNeeded" }), webhook("/data")], async () => {
      const made = await create(configMap("changed", { a: "1" }));
      expect(made.data).toEqual({ a: "1", added: "1" });
      expect(made.metadata.labels).toEqual({ by: "webhook", seen: "2" });
    });
  });

  test("have defaults applied to what they add", async () => {
    await withHooks("Mutating", [webhook("/init")], async () => {
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "p" },
        spec: { containers: [{ name: "c", image: "c" }] },
      } as Pod;
      const made = await server.client.create(pods, pod, { namespace: "work" });
      const [first] = made.spec?.initContainers ?? [];
      expect(first?.terminationMessagePath).toBe("/dev/termination-log");
      expect(first?.imagePullPolicy).toBe("Always");
    });
  });

  test("fail by their policy and within their time", async () => {
    const slow = { timeoutSeconds: 1 };
    await withHooks("Validating", [webhook("/slow", slow)], async () => {
      await expect(create(configMap("late"))).rejects.toThrow(
        'failed calling webhook "slow.example.com": failed to call webhook: Post "https://hook.hooks.svc:443/slow?timeout=1s": context deadline exceeded',
      );
    });
    await withHooks("Validating", [webhook("/slow", { ...slow, failurePolicy: "Ignore" })], async () => {
      await create(configMap("late"));
    });
    const untrusted = { clientConfig: { service: { namespace: "hooks", name: "hook", path: "/warn" } } };
    await withHooks("Validating", [webhook("/warn", untrusted)], async () => {
      await expect(create(configMap("untrusted"))).rejects.toThrow("failed calling webhook");
    });
  });

  test("have no more time than the request, and what its client was told is not done is not done", async () => {
    await withHooks("Validating", [webhook("/slow", { timeoutSeconds: 2, failurePolicy: "Ignore" })], async () => {
      asked.length = 0;
      const given = new Promise<void>((resolve) => {
        givenUp = resolve;
      });
      const namespace = "work";
      const path = `/api/v1/namespaces/${namespace}/configmaps`;
      // On a machine that is busy for so long the time of a request may be over before the webhook is asked.
      while (asked.length === 0) {
        const response = await server.fetch(`${path}?timeout=1s`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(configMap("given-up")),
        });
        expect(response.status).toBe(504);
        // No kind, as upstream: its clients say what a gateway's timeout means.
        expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
        expect(await response.json()).toEqual({
          metadata: {},
          status: "Failure",
          message: "Timeout: request did not complete within the allotted timeout",
          reason: "Timeout",
          details: {},
          code: 504,
        });
      }
      await given;
      await create(configMap("after"));
      expect((await server.fetch(`${path}/given-up`)).status).toBe(404);
    });
  });

  test("are not asked by a dry run that they would not take as one; their warnings are passed on", async () => {
    await withHooks("Validating", [webhook("/warn", { sideEffects: "NoneOnDryRun" })], async () => {
      const { stderr } = await server.kubectl(["create", "configmap", "warned", "-n", "work"]);
      expect(stderr).toContain("Warning: think twice");
      await create(configMap("dry"), true);
    });
    const configuration = webhook("/warn", { sideEffects: "Some", admissionReviewVersions: ["v1beta1"] });
    await expect(withHooks("Validating", [configuration], () => Promise.resolve())).rejects.toThrow("sideEffects");
  });

  test("see deletions and what was there before", async () => {
    await create(configMap("going"));
    const rules = [{ apiGroups: [""], apiVersions: ["v1"], operations: ["DELETE"], resources: ["configmaps"] }];
    await withHooks("Validating", [webhook("/deny", { rules })], async () => {
      asked.length = 0;
      await expect(server.client.delete(configMaps, { namespace: "work", name: "going" })).rejects.toThrow("not today");
      const { request } = asked[0]?.review ?? {};
      expect(request).toMatchObject({ operation: "DELETE", name: "going", namespace: "work", object: null });
      expect(request?.oldObject).toMatchObject({ metadata: { name: "going" } });
    });
  });
});

const things = (version: string): ResourceRef<KubeObject> => ({
  group: "hooks.example.com",
  version,
  kind: "Thing",
  plural: "things",
  namespaced: true,
});

describe("custom resources of several versions", () => {
  const open = { type: "object", properties: { spec: { type: "object", properties: { known: { type: "string" } } } } };
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "things.hooks.example.com" },
    spec: {
      group: "hooks.example.com",
      scope: "Namespaced",
      names: { plural: "things", kind: "Thing" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { ...open, properties: { ...open.properties, hostPort: { type: "string" } } } },
          selectableFields: [{ jsonPath: ".hostPort" }],
        },
        {
          name: "v2",
          served: true,
          storage: false,
          schema: {
            openAPIV3Schema: {
              ...open,
              properties: { ...open.properties, host: { type: "string" }, port: { type: "string" } },
            },
          },
          selectableFields: [{ jsonPath: ".host" }],
        },
      ],
    },
  };

  beforeAll(async () => {
    const webhookConfig = {
      conversionReviewVersions: ["v1"],
      clientConfig: { service: { namespace: "hooks", name: "hook", path: "/convert" }, caBundle: hook.caBundle },
    };
    const spec = { ...definition.spec, conversion: { strategy: "Webhook", webhook: webhookConfig } };
    await server.client.create(customResourceDefinitions, {
      ...definition,
      spec,
    } as unknown as CustomResourceDefinition);
    await eventually(async () => server.api.resources.find("hooks.example.com", "v2", "things"));
  });

  const thing = (version: string, name: string, fields: object): KubeObject => ({
    apiVersion: `hooks.example.com/${version}`,
    kind: "Thing",
    metadata: { name },
    ...fields,
  });

  test("are converted by their webhook both ways, in lists and watches too", async () => {
    await server.client.create(things("v1"), thing("v1", "one", { hostPort: "a:1" }), { namespace: "work" });
    const made = await server.client.create(things("v2"), thing("v2", "two", { host: "b", port: "2" }), {
      namespace: "work",
    });
    expect(made).toMatchObject({ apiVersion: "hooks.example.com/v2", host: "b", port: "2" });
    expect(await server.client.get(things("v2"), { namespace: "work", name: "one" })).toMatchObject({
      host: "a",
      port: "1",
    });
    expect(await server.client.get(things("v1"), { namespace: "work", name: "two" })).toMatchObject({
      hostPort: "b:2",
    });
    const listed = await server.client.list(things("v2"), { namespace: "work", fieldSelector: "host=b" });
    expect(listed.items.map(({ metadata }) => metadata.name)).toEqual(["two"]);
    const controller = new AbortController();
    const watched = server.client.watch(things("v2"), {
      namespace: "work",
      fieldSelector: "host=c",
      signal: controller.signal,
    });
    const patched = server.client.patch(
      things("v1"),
      { namespace: "work", name: "one" },
      { type: "merge", body: { hostPort: "c:3" } },
    );
    for await (const event of watched) {
      expect(event).toMatchObject({ type: "ADDED", object: { metadata: { name: "one" }, host: "c", port: "3" } });
      break;
    }
    controller.abort();
    await patched;
    const updated = await server.client.patch(
      things("v2"),
      { namespace: "work", name: "one" },
      { type: "merge", body: { port: "4" } },
    );
    expect(updated).toMatchObject({ host: "c", port: "4" });
    expect(await server.client.get(things("v1"), { namespace: "work", name: "one" })).toMatchObject({
      hostPort: "c:4",
    });
  });

  test("reach admission in the version that the webhook asks for, and are pruned after it", async () => {
    const rules = [
      { apiGroups: ["hooks.example.com"], apiVersions: ["v2"], operations: ["CREATE"], resources: ["things"] },
    ];
    await withHooks("Mutating", [webhook("/prune", { rules })], async () => {
      asked.length = 0;
      const made = await server.client.create(things("v1"), thing("v1", "three", { hostPort: "d:5", spec: {} }), {
        namespace: "work",
      });
      expect(made).toMatchObject({ apiVersion: "hooks.example.com/v1", hostPort: "d:5", spec: { known: "yes" } });
      expect(JSON.stringify(made)).not.toContain("unknown");
      const review = asked.find(({ path }) => path === "/prune")?.review;
      expect(review?.request).toMatchObject({
        kind: { version: "v2" },
        requestKind: { version: "v1" },
        object: { apiVersion: "hooks.example.com/v2" },
      });
    });
  });
});
