import { expect, test } from "bun:test";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { AccountTokens } from "./account-tokens.ts";

const client = {
  create: () => Promise.resolve({}),
  post: () => Promise.resolve({ status: { token: "of the account" } }),
} as unknown as Client;

test("a token goes to the server alone that has the name which the kubeconfig asks for", async () => {
  const tokens = new AccountTokens(client, silentLog);
  await tokens.prepare(["job-controller"]);
  const server = { ca: "CA", serverName: "kubernetes" };
  const credentials = tokens.credentials("job-controller", server);
  expect(credentials).toEqual({ ...server, token: "of the account" });
  expect(tokens.credentials("job-controller", { ...server })).toBe(credentials);
  tokens.stop();
});

test("controllers reach a server that the kubeconfig asks for no proof", async () => {
  const tokens = new AccountTokens(client, silentLog);
  await tokens.prepare(["job-controller"]);
  const credentials = tokens.credentials("job-controller", { insecureSkipTlsVerify: true });
  expect(credentials).toEqual({ insecureSkipTlsVerify: true, token: "of the account" });
  tokens.stop();
});
