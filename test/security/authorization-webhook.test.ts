/** Authorisers by file and by flags: webhooks that allow, deny, have no opinion, are late or away; order; changes. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificateSigningRequests } from "#shared/api/resources.ts";
import { silentLog } from "#shared/client/log.ts";
import { masterOptions } from "#shared/config/settings.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { createCertificateRequest } from "#shared/pki/certificate-request.ts";
import { selfSubjectRulesReviews } from "../../master/apiserver/authz/access-review.ts";
import { authorizationOf } from "../../master/apiserver/authz/authorization.ts";
import { parseAuthorizationConfiguration } from "../../master/apiserver/authz/authorization-configuration.ts";
import { type ReviewWebhook, startReviewWebhook } from "../support/review-webhook.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-authorization-"));
const path = join(folder, "authorization.yaml");
let webhook: ReviewWebhook;
let server: SecuredServer | undefined;

beforeAll(async () => {
  webhook = await startReviewWebhook(join(folder, "webhook.kubeconfig"));
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  webhook.asked.length = 0;
});
afterAll(async () => {
  await webhook.stop();
  rmSync(folder, { recursive: true });
});

const settings = Object.fromEntries(
  Object.entries(masterOptions).map(([key, { fallback }]) => [key, fallback]),
) as unknown as Parameters<typeof authorizationOf>[0];

/** The cluster's own parts are not asked about: the certificate controllers are to run whatever a webhook says. */
const people = { expression: "!request.user.startsWith('system:')" };
const entry = (more: object = {}, kubeConfigFile = webhook.kubeconfig): object => ({
  type: "Webhook",
  name: "gate",
  webhook: {
    timeout: "30s",
    subjectAccessReviewVersion: "v1",
    failurePolicy: "NoOpinion",
    connectionInfo: { type: "KubeConfigFile", kubeConfigFile },
    matchConditionSubjectAccessReviewVersion: "v1",
    matchConditions: [people],
    ...more,
  },
});
const node = { type: "Node", name: "node" };
const rbac = { type: "RBAC", name: "rbac" };
const documentOf = (authorizers: object[]): string =>
  JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "AuthorizationConfiguration", authorizers });
/** As an editor writes: a new file in the place of the old one. */
const write = (text: string): void => {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
};

async function serve(authorizers: object[]): Promise<SecuredServer> {
  write(documentOf(authorizers));
  server = await startSecuredServer({
    authorization: await authorizationOf({ ...settings, authorizationConfig: path }, silentLog),
  });
  return server;
}

type Get = (at: string) => Promise<[code: number, message: string]>;

/** GETs as somebody, by a certificate made for this. */
async function signedIn(as: string, groups: readonly string[] = []): Promise<Get> {
  if (!server) throw new Error("no server stands");
  const { url, pki } = server;
  const { ca } = pki.authorities;
  const subject = { commonName: as, organizations: [...groups] };
  const { certificatePem: cert, keyPem: key } = await issueCertificate(ca, subject, [extendedKeyUsages.clientAuth]);
  return async (at) => {
    const answer = await fetch(`${url}${at}`, { tls: { ca: ca.certificatePem, cert, key } } as RequestInit);
    const text = await answer.text();
    const { message = text } = text.startsWith("{") ? (JSON.parse(text) as { message?: string }) : {};
    return [answer.status, message];
  };
}

const get = async (as: string, at: string, groups?: readonly string[]): ReturnType<Get> =>
  (await signedIn(as, groups))(at);
const pods = "/api/v1/namespaces/default/pods";
const groupsOfReviews = (): unknown[] => webhook.asked.map(({ review }) => review.spec["user"]);

describe("a webhook's answer", () => {
  test("allows what nobody else does, and is asked in full, by this server's own certificate", async () => {
    await serve([node, rbac, entry()]);
    webhook.reply = () => ({ allowed: true, reason: "why not" });
    expect((await get("anna", `${pods}?labelSelector=app%3Dweb,!old&fieldSelector=spec.nodeName!%3Da`, ["g"]))[0]).toBe(
      200,
    );
    expect((await get("anna", "/nothing/here"))[0]).toBe(404);
    const [first, second] = webhook.asked;
    expect(first?.client).toBe("the-api-server");
    expect(first?.review).toMatchObject({
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: "anna",
        groups: ["g", "system:authenticated"],
        resourceAttributes: {
          namespace: "default",
          verb: "list",
          version: "v1",
          resource: "pods",
          fieldSelector: { requirements: [{ key: "spec.nodeName", operator: "NotIn", values: ["a"] }] },
          labelSelector: {
            requirements: [
              { key: "app", operator: "In", values: ["web"] },
              { key: "old", operator: "DoesNotExist" },
            ],
          },
        },
      },
    });
    expect(second?.review.spec["nonResourceAttributes"]).toEqual({ path: "/nothing/here", verb: "get" });
  });

  test("denies what RBAC would allow, but where it stands behind RBAC, and never to system:masters", async () => {
    await serve([entry(), node, rbac]);
    webhook.reply = () => ({ allowed: false, denied: true, reason: "the gate is shut" });
    expect(await get("anna", "/version")).toEqual([
      403,
      'forbidden: User "anna" cannot get path "/version": the gate is shut',
    ]);
    expect((await get("root", pods, ["system:masters"]))[0]).toBe(200);
    expect(groupsOfReviews()).not.toContain("root");
    await server?.stop();
    await serve([node, rbac, entry()]);
    expect((await get("anna", "/version"))[0]).toBe(200);
    expect((await get("anna", pods))[1]).toEndWith(": the gate is shut");
  });

  test("leaves a webhook that denies everything no way to stop boards and controllers that stand before it", async () => {
    webhook.reply = () => ({ allowed: false, denied: true });
    const { admin } = await serve([node, rbac, entry({ matchConditions: [] })]);
    expect((await get("system:node:board", "/api/v1/nodes/board", ["system:nodes"]))[0]).toBe(404);
    // The certificate controllers run under their own names.
    const { requestPem } = await createCertificateRequest({ commonName: "berta" });
    await admin.create(certificateSigningRequests, {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name: "berta" },
      spec: {
        request: Buffer.from(requestPem).toString("base64"),
        signerName: "kubernetes.io/kube-apiserver-client",
        usages: ["client auth"],
      },
    });
    const made = await admin.get(certificateSigningRequests, { name: "berta" });
    const conditions = [{ type: "Approved", status: "True", reason: "Test", message: "by a test" }];
    await admin.update(certificateSigningRequests, { ...made, status: { conditions } }, { subresource: "approval" });
    for (;;) {
      const now = await admin.get(certificateSigningRequests, { name: "berta" });
      if (now.status?.certificate) break;
      await Bun.sleep(20);
    }
  });

  test("is no opinion where it says neither: the next is asked", async () => {
    await serve([entry(), node, rbac]);
    webhook.reply = () => ({ allowed: false, reason: "not mine" });
    expect((await get("anna", "/version"))[0]).toBe(200);
    expect(await get("anna", pods)).toEqual([403, expect.stringMatching(/cannot list resource "pods".*: not mine$/)]);
  });

  test("is remembered, and what is not to be is asked for again", async () => {
    await serve([entry({ cacheUnauthorizedRequests: false }), node, rbac]);
    webhook.reply = ({ spec }) => ({ allowed: spec["user"] === "anna" });
    // Signed in once: the review names the certificate, too.
    const [anna, ben] = [await signedIn("anna"), await signedIn("ben")];
    for (let time = 0; time < 3; time += 1) {
      expect((await anna(pods))[0]).toBe(200);
      expect((await ben(pods))[0]).toBe(403);
    }
    expect(groupsOfReviews().filter((user) => user === "anna")).toHaveLength(1);
    expect(groupsOfReviews().filter((user) => user === "ben")).toHaveLength(3);
  });

  test("in the older version names groups as that did; allowed and denied at once is denied", async () => {
    await serve([entry({ subjectAccessReviewVersion: "v1beta1" }), node, rbac]);
    webhook.reply = () => ({ allowed: true, denied: true });
    expect(await get("anna", "/version", ["g"])).toEqual([
      500,
      expect.stringContaining("webhook subject access review returned both allow and deny response"),
    ]);
    expect(webhook.asked[0]?.review).toMatchObject({
      apiVersion: "authorization.k8s.io/v1beta1",
      spec: { group: ["g", "system:authenticated"] },
    });
  });
});

describe("a webhook that gives no answer", () => {
  const away = async (): Promise<string> => {
    const gone = await startReviewWebhook(join(folder, "gone.kubeconfig"));
    await gone.stop();
    return gone.kubeconfig;
  };
  const late = async (): Promise<string> => {
    webhook.reply = () => "silence";
    return webhook.kubeconfig;
  };
  const faulty = async (): Promise<string> => {
    webhook.reply = () => 403;
    return webhook.kubeconfig;
  };
  test.each([
    ["away", away, "Post "],
    ["late", late, "context deadline exceeded"],
    ["faulty", faulty, "not now"],
  ] as const)("since it is %s: the next is asked by NoOpinion, and by Deny nobody", async (_, make, why) => {
    const kubeConfigFile = await make();
    // Only silence is to be waited out: an answer may take its time.
    const timeout = make === late ? "200ms" : "30s";
    await serve([entry({ timeout, failurePolicy: "NoOpinion" }, kubeConfigFile), node, rbac]);
    expect((await get("anna", "/version"))[0]).toBe(200);
    // Nobody allows it, and one could not be asked: that is no refusal.
    expect(await get("anna", pods)).toEqual([500, expect.stringContaining(why)]);
    await server?.stop();
    await serve([entry({ timeout, failurePolicy: "Deny" }, kubeConfigFile), node, rbac]);
    expect(await get("anna", "/version")).toEqual([500, expect.stringContaining(why)]);
    expect((await get("root", pods, ["system:masters"]))[0]).toBe(200);
  });

  test("for a moment is asked again", async () => {
    await serve([entry(), node, rbac]);
    let refusals = 0;
    webhook.reply = () => (refusals++ === 0 ? 500 : { allowed: true });
    expect((await get("anna", pods))[0]).toBe(200);
    expect(webhook.asked).toHaveLength(2);
  });
});

describe("matchConditions", () => {
  const conditions = (failurePolicy: string, ...expressions: string[]): object =>
    entry({
      failurePolicy,
      matchConditions: [people, ...expressions.map((expression) => ({ expression }))],
    });

  test("choose what the webhook is asked of", async () => {
    await serve([
      conditions(
        "Deny",
        "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'default'",
        "!('system:nodes' in request.groups)",
        "!has(request.resourceAttributes.labelSelector) || request.resourceAttributes.labelSelector.requirements.exists(r, r.key == 'app')",
      ),
      node,
      rbac,
    ]);
    webhook.reply = () => ({ allowed: true });
    expect((await get("anna", pods))[0]).toBe(200);
    expect((await get("anna", `${pods}?labelSelector=app`))[0]).toBe(200);
    expect(webhook.asked).toHaveLength(2);
    expect((await get("anna", `${pods}?labelSelector=other`))[0]).toBe(403);
    expect((await get("anna", "/api/v1/namespaces/kube-system/pods"))[0]).toBe(403);
    expect((await get("anna", "/version"))[0]).toBe(200);
    expect((await get("system:node:a", pods, ["system:nodes"]))[0]).not.toBe(500);
    expect(webhook.asked).toHaveLength(2);
  });

  test("that fail are as a webhook that does, unless another says no", async () => {
    await serve([conditions("Deny", "request.extra['a'][0] == 'b'"), node, rbac]);
    expect(await get("anna", "/version")).toEqual([500, expect.stringContaining("no such key")]);
    await server?.stop();
    await serve([conditions("Deny", "request.extra['a'][0] == 'b'", "request.user != 'anna'"), node, rbac]);
    expect((await get("anna", "/version"))[0]).toBe(200);
    await server?.stop();
    await serve([conditions("NoOpinion", "request.extra['a'][0] == 'b'"), node, rbac]);
    expect((await get("anna", "/version"))[0]).toBe(200);
    expect(webhook.asked).toHaveLength(0);
  });
});

test("a file that changes holds from then on; one that is no good, or takes RBAC away, does not", async () => {
  await serve([node, rbac]);
  webhook.reply = () => ({ allowed: true });
  expect((await get("anna", pods))[0]).toBe(403);
  write(documentOf([node, rbac, entry()]));
  while ((await get("anna", pods))[0] !== 200) await Bun.sleep(20);
  for (const bad of [
    "nonsense: [",
    documentOf([entry()]),
    documentOf([node, rbac, entry(), { type: "AlwaysDeny", name: "no" }]),
  ]) {
    write(bad);
    // Seen by the next change, which holds: what is no good was passed over.
    write(documentOf([node, rbac]));
    while ((await get("anna", pods))[0] !== 403) await Bun.sleep(20);
    write(documentOf([node, rbac, entry()]));
    while ((await get("anna", pods))[0] !== 200) await Bun.sleep(20);
  }
});

describe("by flags", () => {
  test("modes are asked in their order", async () => {
    const authorizationWebhookConfigFile = webhook.kubeconfig;
    const authorizationMode = ["Webhook", "Node", "RBAC"];
    webhook.reply = ({ spec }) => ({ allowed: false, denied: spec["user"] === "anna" });
    server = await startSecuredServer({
      authorization: await authorizationOf(
        { ...settings, authorizationMode, authorizationWebhookConfigFile },
        silentLog,
      ),
    });
    webhook.reply = ({ spec }) => ({ allowed: false, denied: spec["user"] === "anna" });
    expect((await get("anna", "/version"))[0]).toBe(403);
    expect((await get("ben", "/version"))[0]).toBe(200);
    expect(webhook.asked[0]?.review.apiVersion).toBe("authorization.k8s.io/v1beta1");
  });

  test("policies of a file are asked too, and tell a user's rules", async () => {
    const authorizationPolicyFile = join(folder, "policies.jsonl");
    writeFileSync(authorizationPolicyFile, '{"user":"anna","readonly":true}\n');
    const authorizationMode = ["Node", "RBAC", "ABAC"];
    server = await startSecuredServer({
      authorization: await authorizationOf({ ...settings, authorizationMode, authorizationPolicyFile }, silentLog),
    });
    const all = "/api/v1/namespaces/default/secrets";
    expect([(await get("anna", all))[0], (await get("ben", all))[0]]).toEqual([200, 403]);
  });

  test("a user's own rules are told to be incomplete where a webhook is asked", async () => {
    await serve([node, rbac, entry()]);
    webhook.reply = () => ({ allowed: true });
    const { status } = (await server?.admin.create(selfSubjectRulesReviews, {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectRulesReview",
      metadata: { name: "" },
      spec: { namespace: "default" },
    })) ?? { status: undefined };
    expect(status).toMatchObject({
      incomplete: true,
      evaluationError: "webhook authorizer does not support user rule resolution",
    });
  });

  test.each<[object, string]>([
    [{ authorizationMode: ["Webhook"] }, "authorization config file not passed"],
    [{ authorizationMode: ["RBAC", "RBAC"] }, "has mode specified more than once"],
    [{ authorizationMode: ["Nobody"] }, '"Nobody" is not a valid mode'],
    [{ authorizationMode: ["ABAC"] }, "authorization-mode ABAC's authorization policy file not passed"],
    [{ authorizationPolicyFile: "/a" }, "cannot specify --authorization-policy-file without mode ABAC"],
    [{ authorizationMode: ["ABAC"], authorizationPolicyFile: "/none" }, "error reading policy file /none: "],
    [{ authorizationMode: [] }, "at least one authorization-mode must be passed"],
    [{ authorizationWebhookConfigFile: "/a" }, "cannot be specified without mode Webhook"],
    [{ authorizationConfig: "/a", authorizationMode: ["RBAC"] }, "cannot be specified when authorization-mode"],
    [{ authorizationMode: ["Webhook"], authorizationWebhookConfigFile: "/none" }, "cannot read the kubeconfig /none"],
  ])("%p is refused", async (given, fault) => {
    const start = async (): Promise<void> => {
      const factory = await authorizationOf({ ...settings, ...given }, silentLog);
      const none = { authorize: async () => ({ outcome: "no-opinion" as const, reason: "" }) };
      factory?.({ Node: none, RBAC: none });
    };
    await expect(start()).rejects.toThrow(fault);
  });
});

describe("a configuration that is none", () => {
  const faultOf = (authorizers: object[]): string => {
    try {
      parseAuthorizationConfiguration(documentOf(authorizers));
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const match = (...expressions: string[]): object =>
    entry({ matchConditions: expressions.map((expression) => ({ expression })) });
  test.each<[() => object[], string]>([
    [() => [], "authorizers: Required value: at least one authorization mode must be defined"],
    [() => [{}], "authorizers[0].type: Required value"],
    [() => [{ type: "ABAC", name: "a" }], 'authorizers[0].type: Unsupported value: "ABAC": supported values: '],
    [() => [rbac, { ...rbac, name: "b" }], 'authorizers[1].type: Duplicate value: "RBAC"'],
    [() => [rbac, { ...node, name: "rbac" }], 'authorizers[1].name: Duplicate value: "rbac"'],
    [() => [{ type: "RBAC" }], "authorizers[0].name: Required value"],
    [() => [{ type: "RBAC", name: "A" }], 'authorizers[0].name: Invalid value: "A": authorizer name is invalid: '],
    [() => [{ type: "Webhook", name: "a" }], "authorizers[0].webhook: Required value: required when type=Webhook"],
    [() => [{ ...entry(), type: "RBAC" }], "may only be specified when type=Webhook"],
    [() => [{ ...rbac, mode: "x" }], "authorizers[0].mode: Forbidden: unknown field"],
    [() => [entry({ timeout: undefined })], "authorizers[0].timeout: Required value"],
    [() => [entry({ timeout: "31s" })], 'authorizers[0].timeout: Invalid value: "31s": must be > 0s and <= 30s'],
    [() => [entry({ authorizedTTL: "-1s" })], 'authorizers[0].authorizedTTL: Invalid value: "-1s": must be > 0s'],
    [() => [entry({ unauthorizedTTL: "0s" })], "authorizers[0].unauthorizedTTL: Required value"],
    [() => [entry({ failurePolicy: "Allow" })], 'Unsupported value: "Allow": supported values: "NoOpinion", "Deny"'],
    [() => [entry({ subjectAccessReviewVersion: "v2" })], 'Unsupported value: "v2": supported values: "v1", "v1beta1"'],
    [() => [entry({}, "")], "authorizers[0].connectionInfo.kubeConfigFile: Required value"],
    [() => [entry({}, "a")], "must be an absolute path"],
    [() => [entry({}, folder)], "must be a regular file"],
    [() => [entry({}, "/none")], "error loading file"],
    [() => [entry({ matchConditionSubjectAccessReviewVersion: "" })], "required if match conditions are specified"],
    [() => [match("")], "authorizers[0].matchConditions[0].expression: Required value"],
    [() => [match("true", "true")], 'authorizers[0].matchConditions[1].expression: Duplicate value: "true"'],
    [() => [match("request.user")], "must evaluate to bool but got string"],
    [() => [match("request.nothing == ''")], "compilation failed: "],
    [() => [match(...Array.from({ length: 65 }, (_, n) => `${n} == 1`))], "Too many: 65: must have at most 64 items"],
  ])("case %#", (authorizers, fault) => {
    expect(faultOf(authorizers())).toContain(fault);
  });
  test("of another kind", () => {
    expect(() => parseAuthorizationConfiguration("kind: Config")).toThrow("expected an AuthorizationConfiguration of");
  });
});
