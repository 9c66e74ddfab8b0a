/** What admission webhooks are asked: by which operations, and with what in the request. Expectations were seen at
 *  upstream's API server 1.35. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { serviceAccounts } from "#shared/api/resources.ts";
import { createServiceAccountKey, parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import { ServiceAccountIssuer } from "../../master/apiserver/authn/service-account-issuer.ts";
import { ServiceAccountTokens } from "../../master/apiserver/authn/service-account-token.ts";
import { TokenRequests } from "../../master/apiserver/authn/token-request.ts";
import { authenticationReviews } from "../../master/apiserver/authn/token-review.ts";
import { authorizationReviews } from "../../master/apiserver/authz/access-review.ts";
import { authorizerChain, privilegedGroup } from "../../master/apiserver/authz/chain.ts";
import { connectHandlers } from "../../master/apiserver/connect/handlers.ts";
import type { ExtendedServer } from "./extended-server.ts";
import { startWebhook, type WebhookFixture } from "./webhook-fixture.ts";

setDefaultTimeout(300_000);

interface Asked {
  readonly uid: string;
  readonly operation: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly kind: { readonly kind: string };
  readonly object: Record<string, unknown> | null;
  readonly oldObject: { readonly metadata: Record<string, unknown> } | null;
  readonly options: object | null;
}

const reviewGroups = ["authentication.k8s.io", "authorization.k8s.io"];

const issuer = new ServiceAccountIssuer("https://api", parseServiceAccountKeys(createServiceAccountKey()));

let fixture: WebhookFixture;
let server: ExtendedServer;
const asked: Asked[] = [];

beforeAll(async () => {
  fixture = await startWebhook({
    kind: "Validating",
    // Without those that the server writes itself in the meantime.
    rule: { apiGroups: ["", "policy", ...reviewGroups], apiVersions: ["*"], resources: ["*/*"] },
    answer: (request: Asked) => {
      asked.push(request);
      return { allowed: true };
    },
    more: ({ reader }) => {
      const dialer = { boards: [], dial: () => Promise.reject(new Error("nothing is reached")) };
      const authorizer = authorizerChain([privilegedGroup]);
      const tokens = new TokenRequests(issuer, reader);
      return {
        declarations: [
          ...authenticationReviews(new ServiceAccountTokens(issuer, reader), issuer.apiAudiences),
          ...authorizationReviews(authorizer, () => ({ rules: [], incomplete: false })),
        ],
        subresources: { "": { "serviceaccounts/token": tokens, ...connectHandlers({ dialer, reader }) } },
      };
    },
  });
  server = fixture.server;
});
afterAll(() => fixture.stop());

beforeEach(() => {
  asked.length = 0;
});

const work = "/api/v1/namespaces/work";

async function send(method: string, path: string, body?: object, type = "application/json"): Promise<number> {
  const headers = body ? { "Content-Type": type } : {};
  const response = await server.fetch(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  await response.text();
  return response.status;
}

const configMap = (name: string, labels = {}) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels } });
const pod = (name: string, spec = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { containers: [{ name: "c", image: "c" }], ...spec },
});
const optionsOf = (kind: string, more = {}) => ({ kind, apiVersion: "meta.k8s.io/v1", ...more });
const callsOf = (): string[] => asked.map(({ operation, kind, name = "" }) => `${operation} ${kind.kind} ${name}`);

test("options are those that the client gave", async () => {
  await send("POST", `${work}/configmaps`, configMap("a"));
  await send("POST", `${work}/configmaps?fieldValidation=Strict&fieldManager=m&dryRun=All`, configMap("b"));
  await send("PATCH", `${work}/configmaps/a`, { data: { x: "1" } }, "application/merge-patch+json");
  const apply = `${work}/configmaps/c?fieldManager=m&force=true`;
  await send("PATCH", apply, configMap("c"), "application/apply-patch+yaml");
  expect(asked.map(({ options }) => options)).toEqual([
    optionsOf("CreateOptions"),
    optionsOf("CreateOptions", { dryRun: ["All"], fieldManager: "m", fieldValidation: "Strict" }),
    optionsOf("UpdateOptions"),
    optionsOf("CreateOptions", { fieldManager: "m" }),
  ]);
});

test("options of a deletion have their own version, whatever the body's", async () => {
  for (const name of ["a", "b"]) await send("POST", `${work}/configmaps`, configMap(`gone-${name}`));
  asked.length = 0;
  const body = { apiVersion: "v1", kind: "DeleteOptions", metadata: {}, propagationPolicy: "Background" };
  await send("DELETE", `${work}/configmaps/gone-a`, body);
  await send("DELETE", `${work}/configmaps/gone-b`);
  expect(asked.map(({ options }) => options)).toEqual([
    optionsOf("DeleteOptions", { propagationPolicy: "Background" }),
    optionsOf("DeleteOptions"),
  ]);
});

test("objects of a deleted collection are shown without their names", async () => {
  for (const name of ["one", "two"]) await send("POST", `${work}/configmaps`, configMap(name, { of: "collection" }));
  asked.length = 0;
  expect(await send("DELETE", `${work}/configmaps?labelSelector=of%3Dcollection`)).toBe(200);
  expect(callsOf()).toEqual(["DELETE ConfigMap ", "DELETE ConfigMap "]);
  expect(asked.map(({ oldObject }) => oldObject?.metadata["name"]).toSorted()).toEqual(["one", "two"]);
});

test("a deletion by grace is shown with its period, and each step of it alone", async () => {
  await send("POST", `${work}/pods`, pod("bound", { nodeName: "n", terminationGracePeriodSeconds: 20 }));
  await send("POST", `${work}/pods`, pod("loose"));
  asked.length = 0;
  const optionsAsked = async (path: string): Promise<(object | null)[]> => {
    asked.length = 0;
    expect(await send("DELETE", path)).toBe(200);
    return asked.map(({ options }) => options);
  };
  const graced = (gracePeriodSeconds: number) => optionsOf("DeleteOptions", { gracePeriodSeconds });
  expect(await optionsAsked(`${work}/pods/bound`)).toEqual([graced(20)]);
  expect(await optionsAsked(`${work}/pods/bound`)).toEqual([]);
  expect(await optionsAsked(`${work}/pods/bound?gracePeriodSeconds=5`)).toEqual([graced(5)]);
  expect(await optionsAsked(`${work}/pods/bound?gracePeriodSeconds=0`)).toEqual([graced(0), graced(0)]);
  expect(await optionsAsked(`${work}/pods/loose`)).toEqual([graced(0), graced(0)]);
  expect(asked.map(({ oldObject }) => oldObject?.metadata["deletionGracePeriodSeconds"])).toEqual([undefined, 0]);
});

test("a namespace is shown to go once, and by its UID", async () => {
  await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "leaving" } });
  asked.length = 0;
  for (let times = 0; times < 2; times++) expect(await send("DELETE", "/api/v1/namespaces/leaving")).toBe(200);
  expect(callsOf()).toEqual(["DELETE Namespace leaving"]);
  const uid = asked[0]?.oldObject?.metadata["uid"];
  expect(asked[0]?.options).toEqual(optionsOf("DeleteOptions", { preconditions: { uid } }));
});

test("an eviction is shown as such alone", async () => {
  await send("POST", `${work}/pods`, pod("evicted"));
  asked.length = 0;
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "evicted" } };
  expect(await send("POST", `${work}/pods/evicted/eviction?dryRun=All`, eviction)).toBe(201);
  expect(await send("POST", `${work}/pods/evicted/eviction`, eviction)).toBe(201);
  expect(callsOf()).toEqual(["CREATE Eviction evicted", "CREATE Eviction evicted"]);
  expect(asked[0]?.object?.["metadata"]).toEqual({ name: "evicted", namespace: "work" });
});

test("a connection is shown by the options of its kind", async () => {
  const shown = async (method: string, path: string): Promise<object | null | undefined> => {
    asked.length = 0;
    await send(method, `${work}/${path}`);
    return asked[0]?.object;
  };
  const options = (kind: string, fields = {}) => ({ kind, apiVersion: "v1", ...fields });
  const forward = "PodPortForwardOptions";
  expect(await shown("POST", "pods/p/portforward?ports=80,82&ports=81")).toEqual(
    options(forward, { ports: [80, 82, 81] }),
  );
  expect(await shown("POST", "pods/p/portforward")).toEqual(options(forward));
  expect(await shown("POST", "pods/p/portforward?ports=x")).toBeUndefined();
  expect(await shown("POST", "pods/p/exec?command=a&command=b&stdout=1&tty=0&container=c&other=x")).toEqual(
    options("PodExecOptions", { command: ["a", "b"], stdout: true, container: "c" }),
  );
  expect(await shown("POST", "pods/p/attach?stdin&command=a")).toEqual(options("PodAttachOptions", { stdin: true }));
  expect(await shown("GET", "pods/p/proxy/a/b/?x=1")).toEqual(options("PodProxyOptions", { path: "/a/b/" }));
  expect(await shown("GET", "services/s/proxy/?path=/x")).toEqual(options("ServiceProxyOptions", { path: "/" }));
  expect(await shown("GET", "pods/p/proxy?path=/x")).toEqual(options("PodProxyOptions"));
});

test("a binding is shown in its namespace, and only if it names the pod of its path", async () => {
  await send("POST", `${work}/pods`, pod("placed"));
  asked.length = 0;
  const binding = (name: string) => ({ apiVersion: "v1", kind: "Binding", metadata: { name }, target: { name: "n" } });
  expect(await send("POST", `${work}/pods/placed/binding`, binding("other"))).toBe(400);
  expect(await send("POST", `${work}/pods/placed/binding`, binding("placed"))).toBe(201);
  expect(callsOf()).toEqual(["CREATE Binding placed"]);
  expect(asked[0]?.object?.["metadata"]).toEqual({ name: "placed", namespace: "work" });
});

test("a request for a token is shown as it would be granted", async () => {
  const account = await server.client.create(
    serviceAccounts,
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot" } },
    { namespace: "work" },
  );
  asked.length = 0;
  const request = (spec: object) => ({ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec });
  expect(await send("POST", `${work}/serviceaccounts/robot/token`, request({ expirationSeconds: 5 }))).toBe(422);
  expect(await send("POST", `${work}/serviceaccounts/none/token`, request({}))).toBe(404);
  expect(await send("POST", `${work}/serviceaccounts/robot/token`, request({}))).toBe(201);
  expect(callsOf()).toEqual(["CREATE TokenRequest robot"]);
  expect(asked[0]?.object).toMatchObject({
    metadata: { name: "robot", namespace: "work", uid: account.metadata.uid, creationTimestamp: expect.any(String) },
    spec: { audiences: ["https://api"], expirationSeconds: 3600, boundObjectRef: null },
    status: { token: "" },
  });
});

test("reviews are shown before they are answered, once they are in order", async () => {
  const review = async (group: string, kind: string, spec: object, path = ""): Promise<number> => {
    const apiVersion = `${group}/v1`;
    return send("POST", `/apis/${apiVersion}/${path}${kind.toLowerCase()}s`, { apiVersion, kind, metadata: {}, spec });
  };
  const [authentication = "", authorization = ""] = reviewGroups;
  const resourceAttributes = { namespace: "work", verb: "get", resource: "pods" };
  const subject = { user: "u", resourceAttributes };
  expect(await review(authorization, "SubjectAccessReview", {})).toBe(422);
  expect(await review(authorization, "SelfSubjectAccessReview", {})).toBe(422);
  expect(await review(authorization, "SelfSubjectRulesReview", {})).toBe(400);
  expect(await review(authentication, "TokenReview", {})).toBe(400);
  expect(asked).toEqual([]);
  await review(authorization, "SubjectAccessReview", subject);
  await review(authorization, "SelfSubjectAccessReview", { resourceAttributes });
  await review(authorization, "LocalSubjectAccessReview", subject, `namespaces/${resourceAttributes.namespace}/`);
  await review(authorization, "SelfSubjectRulesReview", { namespace: "work" });
  await review(authentication, "TokenReview", { token: "x" });
  await review(authentication, "SelfSubjectReview", {});
  const undecided = { allowed: false };
  expect(asked.map(({ kind, namespace, object }) => [kind.kind, namespace, object?.["status"]])).toEqual([
    ["SubjectAccessReview", undefined, undecided],
    ["SelfSubjectAccessReview", undefined, undecided],
    ["LocalSubjectAccessReview", "work", undecided],
    ["SelfSubjectRulesReview", undefined, { incomplete: false }],
    ["TokenReview", undefined, { user: {} }],
    ["SelfSubjectReview", undefined, { userInfo: {} }],
  ]);
});
