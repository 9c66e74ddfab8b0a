/** Bearer tokens that a service elsewhere knows. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serviceAccounts } from "#shared/api/resources.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { WebhookTokens, webhookTokensOf } from "../../master/apiserver/authn/webhook-token.ts";
import { type ReviewWebhook, startReviewWebhook } from "../support/review-webhook.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-token-webhook-"));
const apiAudiences = ["https://kubernetes.default.svc"];
let webhook: ReviewWebhook;
let server: SecuredServer;

const tokens = (more: object = {}): WebhookTokens =>
  new WebhookTokens({
    file: webhook.kubeconfig,
    version: "v1",
    ttl_ms: 120_000,
    apiAudiences,
    log: silentLog,
    ...more,
  });

beforeAll(async () => {
  webhook = await startReviewWebhook(join(folder, "kubeconfig"));
  server = await startSecuredServer({ moreTokens: [tokens()] });
});
beforeEach(() => {
  webhook.asked.length = 0;
});
afterAll(async () => {
  await server.stop();
  await webhook.stop();
  rmSync(folder, { recursive: true });
});

const codeOf = async (token: string): Promise<number> => {
  const tls = { ca: server.pki.authorities.ca.certificatePem };
  const headers = { authorization: `Bearer ${token}` };
  return (await fetch(`${server.url}/version`, { headers, tls } as RequestInit)).status;
};

describe("the service's answer", () => {
  test("signs a person in, with groups and extra, and is remembered", async () => {
    const user = { username: "anna", uid: "7", groups: ["gardeners"], extra: { shed: ["blue"] } };
    webhook.reply = () => ({ authenticated: true, user });
    const subject = tokens();
    for (let time = 0; time < 2; time += 1)
      expect(await subject.authenticateToken("secret")).toEqual({
        user: { name: "anna", uid: "7", groups: ["gardeners"], extra: { shed: ["blue"] } },
        audiences: apiAudiences,
      });
    expect(webhook.asked).toHaveLength(1);
    expect(webhook.asked[0]).toMatchObject({
      client: "the-api-server",
      review: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec: { token: "secret", audiences: apiAudiences },
      },
    });
    expect(await codeOf("another")).toBe(200);
  });

  test("may be no, with a word why or without", async () => {
    webhook.reply = () => ({ authenticated: false });
    expect(await tokens().authenticateToken("unknown")).toBeUndefined();
    webhook.reply = () => ({ authenticated: false, error: "expired" });
    await expect(tokens().authenticateToken("old")).rejects.toThrow("expired");
    expect(await codeOf("old")).toBe(401);
  });

  test("is for the audiences that it names, and must be for one that was asked for", async () => {
    webhook.reply = () => ({ authenticated: true, user: { username: "anna" }, audiences: ["vault"] });
    expect((await tokens().authenticateToken("t", ["vault", "other"]))?.audiences).toEqual(["vault"]);
    expect(await tokens().authenticateToken("t")).toBeUndefined();
    webhook.reply = () => ({ authenticated: true, user: { username: "anna" } });
    expect(await tokens().authenticateToken("t", ["other"])).toBeUndefined();
  });

  test("is asked for in the version that was chosen, and again once it is too old", async () => {
    webhook.reply = () => ({ authenticated: true, user: { username: "anna" } });
    const subject = tokens({ version: "v1beta1", ttl_ms: 0 });
    await subject.authenticateToken("t");
    await subject.authenticateToken("t");
    expect(webhook.asked.map(({ review }) => review.apiVersion)).toEqual(
      Array(2).fill("authentication.k8s.io/v1beta1"),
    );
  });

  test("that does not come refuses the token, and is not remembered", async () => {
    webhook.reply = () => 503;
    const subject = tokens();
    await expect(subject.authenticateToken("t")).rejects.toThrow(
      "the server is currently unable to handle the request",
    );
    webhook.reply = () => ({ authenticated: true, user: { username: "anna" } });
    expect((await subject.authenticateToken("t"))?.user.name).toBe("anna");
  });
});

test("who shows one of the cluster's own tokens needs no service", async () => {
  webhook.reply = () => 503;
  await server.admin.create(serviceAccounts, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "robot", namespace: "default" },
  });
  const spec = { audiences: [], expirationSeconds: 600 };
  const request: TokenRequest = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", metadata: {}, spec };
  const key = { name: "robot", namespace: "default" };
  const { status } = await server.admin.post(serviceAccounts, key, "token", request);
  expect(await codeOf(status?.token ?? "")).toBe(200);
  expect(webhook.asked).toHaveLength(0);
});

test("settings that name no file make none, and a file that is no kubeconfig is told of", () => {
  const settings = {
    authenticationTokenWebhookConfigFile: "",
    authenticationTokenWebhookVersion: "v1" as const,
    authenticationTokenWebhookCacheTtl: 0,
  };
  expect(webhookTokensOf(settings, apiAudiences, silentLog)).toBeUndefined();
  const bad = { ...settings, authenticationTokenWebhookConfigFile: "/none" };
  expect(() => webhookTokensOf(bad, apiAudiences, silentLog)).toThrow(
    "authentication-token-webhook-config-file: cannot",
  );
});
