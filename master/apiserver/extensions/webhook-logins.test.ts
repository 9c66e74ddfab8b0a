/** Beside what upstream's own tests ask of its resolver (util/webhook/authentication.go). */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startReviewWebhook } from "../../../test/support/review-webhook.ts";
import { readAdmissionConfiguration } from "../admission/admission-configuration.ts";
import { WebhookClient } from "./webhook-client.ts";
import { WebhookLogins } from "./webhook-logins.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-logins-"));
afterAll(() => rmSync(folder, { recursive: true }));

function kubeconfig(users: Record<string, object>, current?: string): string {
  const path = join(folder, `${crypto.randomUUID()}.yaml`);
  const named = Object.entries(users).map(([name, user]) => ({ name, user }));
  const contexts = [{ name: "c", context: { user: current, cluster: "none" } }];
  const chosen = current === undefined ? {} : { "current-context": "c", contexts };
  writeFileSync(path, JSON.stringify({ apiVersion: "v1", kind: "Config", users: named, ...chosen }));
  return path;
}

test("the user for a webhook is found by its server, the narrowest name first", () => {
  const names = ["hook.blue.svc:8443", "*.blue.svc:8443", "green.example", "*.example", "*"];
  const logins = new WebhookLogins(kubeconfig(Object.fromEntries(names.map((name) => [name, { token: name }]))));
  const userAt = (host: string): string | undefined => logins.at(host).authorization;
  expect(userAt("hook.blue.svc:8443")).toBe("Bearer hook.blue.svc:8443");
  expect(userAt("other.blue.svc:8443")).toBe("Bearer *.blue.svc:8443");
  expect(userAt("green.example:443")).toBe("Bearer green.example");
  expect(userAt("red.example:443")).toBe("Bearer *.example");
  expect(userAt("red.example:444")).toBe("Bearer *");
});

test("where no name fits, the current context's user is shown, or nobody", () => {
  const users = { me: { username: "me", password: "secret" } };
  expect(new WebhookLogins(kubeconfig(users, "me")).at("a:1").authorization).toBe(`Basic ${btoa("me:secret")}`);
  expect(new WebhookLogins(kubeconfig(users)).at("a:1")).toEqual({});
});

test("a webhook is shown the token and the certificate that the configuration has for it", async () => {
  const webhook = await startReviewWebhook(join(folder, "webhook.kubeconfig"));
  try {
    const { clusters, users } = JSON.parse(await Bun.file(webhook.kubeconfig).text());
    const { server, "certificate-authority-data": caBundle } = clusters[0].cluster;
    const path = kubeconfig({ [new URL(server).host]: { ...users[0].user, token: "it-is-me" } });
    const file = join(folder, "admission.yaml");
    const settings = {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "WebhookAdmissionConfiguration",
      kubeConfigFile: path,
    };
    const plugins = [{ name: "ValidatingAdmissionWebhook", configuration: settings }];
    writeFileSync(
      file,
      JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "AdmissionConfiguration", plugins }),
    );
    const { webhookLogins } = readAdmissionConfiguration(file);
    expect(webhookLogins?.mutating).toBeUndefined();
    const logins = webhookLogins?.validating;
    const client = new WebhookClient(undefined as never, undefined as never);
    await client.call({ name: "w", url: server, caBundle }, { spec: {} }, { timeout_ms: 60_000, logins });
    expect(webhook.asked.map(({ client, authorization }) => ({ client, authorization }))).toEqual([
      { client: "the-api-server", authorization: "Bearer it-is-me" },
    ]);
  } finally {
    await webhook.stop();
  }
});

test("settings of ResourceQuota say what is limited; a resource without a name is a fault", () => {
  const written = (limits: object[]): string => {
    const file = join(folder, "quota.yaml");
    const configuration = {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "ResourceQuotaConfiguration",
      limitedResources: limits,
    };
    const plugins = [{ name: "ResourceQuota", configuration }];
    writeFileSync(
      file,
      JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "AdmissionConfiguration", plugins }),
    );
    return file;
  };
  const matchScopes = [{ scopeName: "PriorityClass", operator: "In", values: ["high"] }];
  expect(readAdmissionConfiguration(written([{ resource: "pods", matchScopes }])).limitedResources).toEqual([
    { group: "", plural: "pods", matchContains: [], matchScopes },
  ]);
  expect(() => readAdmissionConfiguration(written([{ matchScopes }]))).toThrow("resource: Required value");
});
