import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentialsFor } from "#agent/runtime/image-credentials.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { AccountTokens } from "./account-tokens.ts";
import { parseCredentialProviders, readCredentialProviders } from "./credential-provider-config.ts";
import { CredentialProviders, type ProvidedConfig } from "./credential-providers.ts";

const folder = mkdtempSync(join(tmpdir(), "brt-provider-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config = (...providers: readonly object[]): string =>
  JSON.stringify({ apiVersion: "kubelet.config.k8s.io/v1", kind: "CredentialProviderConfig", providers });
const provider = (name: string, more: object = {}): object => ({
  name,
  matchImages: ["*.example", "r.example:5000/team"],
  defaultCacheDuration: "1h",
  apiVersion: "credentialprovider.kubelet.k8s.io/v1",
  ...more,
});

let count = 0;
/** A plugin that notes what it is asked and answers so. */
function plugin(answer: object | string): { readonly name: string; readonly asked: () => string[] } {
  const name = `plugin-${++count}`;
  const [path, log] = [join(folder, name), join(folder, `${name}.log`)];
  const head = { kind: "CredentialProviderResponse", apiVersion: "credentialprovider.kubelet.k8s.io/v1" };
  writeFileSync(`${path}.json`, typeof answer === "string" ? answer : JSON.stringify({ ...head, ...answer }));
  writeFileSync(path, `#!/bin/sh\ncat >>${log}; echo " $1 $WORD" >>${log}\ncat ${path}.json\n`);
  chmodSync(path, 0o755);
  appendFileSync(log, "");
  return { name, asked: () => readFileSync(log, "utf8").trim().split("\n").filter(Boolean) };
}

function providersOf(
  names: readonly string[],
  more: object = {},
  now_ms: () => number = () => 0,
  client?: Client,
): CredentialProviders {
  const list = parseCredentialProviders(config(...names.map((name) => provider(name, more))), "file");
  return new CredentialProviders(list, folder, silentLog, client && new AccountTokens(client), now_ms);
}
const usersFor = async (from: CredentialProviders, image: string): Promise<unknown[]> =>
  namesIn(image, await from.configsFor(image));
const namesIn = (image: string, provided: readonly ProvidedConfig[]): unknown[] =>
  credentialsFor(
    image,
    provided.map(({ config, account }) => ({ config, from: account })),
  ).map(({ auth }) => auth.username);
const auth = { "*.example": { username: "any", password: "a" }, "r.example": { username: "one", password: "b" } };

describe("plugins", () => {
  test("are asked for images that match, by the protocol, with arguments and environment", async () => {
    const { name, asked } = plugin({ cacheKeyType: "Image", auth });
    const from = providersOf([name], { args: ["--flag"], env: [{ name: "WORD", value: "said" }] });
    expect(await usersFor(from, "r.example/team/app:1@sha256:".padEnd(92, "a"))).toEqual(["one", "any"]);
    expect(await usersFor(from, "nginx")).toEqual([]);
    const request = { kind: "CredentialProviderRequest", apiVersion: "credentialprovider.kubelet.k8s.io/v1" };
    const expected = JSON.stringify({ ...request, image: "r.example/team/app" });
    expect(asked()).toEqual([`${expected} --flag said`]);
  });

  test.each([
    ["Image", 3],
    ["Registry", 2],
    ["Global", 1],
  ] as const)("answers are kept by %s", async (cacheKeyType, runs) => {
    const { name, asked } = plugin({ cacheKeyType, auth });
    const from = providersOf([name]);
    const images = ["r.example/a:1", "r.example/a:2", "r.example/b", "s.example/a"];
    for (const image of images) expect((await usersFor(from, image)).length).toBeGreaterThan(0);
    expect(asked()).toHaveLength(runs);
  });

  test("answers are kept for as long as they or the configuration say", async () => {
    let now_ms = 0;
    const short = plugin({ cacheKeyType: "Global", cacheDuration: "1m0s", auth });
    const never = plugin({ cacheKeyType: "Global", cacheDuration: "0s", auth });
    const usual = plugin({ cacheKeyType: "Global", auth });
    const from = providersOf([short.name, never.name, usual.name], {}, () => now_ms);
    for (now_ms of [0, 30_000, 90_000]) await from.configsFor("r.example/a");
    expect([short, never, usual].map(({ asked }) => asked().length)).toEqual([2, 3, 1]);
  });

  test("one run serves all who want the same; one that fails is passed over", async () => {
    const good = plugin({ cacheKeyType: "Image", cacheDuration: "0s", auth });
    const wrong = plugin({ cacheKeyType: "Elsewhere", auth });
    const nonsense = plugin("no JSON");
    const from = providersOf(["absent", wrong.name, nonsense.name, good.name]);
    const all = await Promise.all([1, 2, 3].map(() => usersFor(from, "r.example/a")));
    expect(all).toEqual([1, 2, 3].map(() => ["one", "any"]));
    expect(good.asked()).toHaveLength(1);
  });
});

describe("plugins that are told of the pod's service account", () => {
  const accounts: Record<string, Record<string, string>> = { robot: { role: "puller", other: "x" }, plain: {} };
  let issued = 0;
  const client = {
    isAway: false,
    get: async (_: unknown, { namespace, name }: { namespace: string; name: string }) => {
      if (!accounts[name]) throw new Error("not found");
      return { metadata: { name, namespace, uid: `uid-of-${name}`, annotations: accounts[name] } };
    },
    post: async (_: unknown, { name }: { name: string }, __: string, { spec }: { spec: { audiences: string[] } }) => {
      const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
      return { status: { token: `token-${++issued}-${name}-${spec.audiences}`, expirationTimestamp } };
    },
  } as unknown as Client;
  const pod = (name: string, serviceAccountName?: string): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", uid: name },
    spec: { containers: [], ...(serviceAccountName ? { serviceAccountName } : {}) },
  });
  const attributes = (more: object = {}): object => ({
    tokenAttributes: {
      serviceAccountTokenAudience: "registry",
      cacheType: "ServiceAccount",
      requireServiceAccount: true,
      ...more,
    },
  });
  const image = "r.example/a";

  test("get a token for their audience, and the annotations that they name", async () => {
    const { name, asked } = plugin({ cacheKeyType: "Image", auth });
    const keys = { requiredServiceAccountAnnotationKeys: ["role"], optionalServiceAccountAnnotationKeys: ["missing"] };
    const from = providersOf([name], attributes(keys), undefined, client);
    const [provided] = await from.configsFor(image, pod("one", "robot"));
    expect(provided?.account).toEqual({ uid: "uid-of-robot", namespace: "default", name: "robot" });
    const request = JSON.parse(asked()[0]?.trim() ?? "");
    expect(request).toMatchObject({ image, serviceAccountAnnotations: { role: "puller" } });
    expect(request.serviceAccountToken).toEndWith("-robot-registry");
  });

  test("are not asked for pods that are not for them", async () => {
    const { name, asked } = plugin({ cacheKeyType: "Image", auth });
    const keys = { requiredServiceAccountAnnotationKeys: ["role"] };
    const from = providersOf([name], attributes(keys), undefined, client);
    for (const other of [pod("static"), pod("two", "plain"), pod("three", "absent"), undefined])
      expect(await from.configsFor(image, other)).toEqual([]);
    expect(asked()).toEqual([]);
    const free = providersOf([name], attributes({ requireServiceAccount: false }), undefined, client);
    const [provided] = await free.configsFor(image, pod("static"));
    expect(provided?.account).toBeUndefined();
    expect(asked()[0]).not.toContain("serviceAccountToken");
  });

  test.each([
    ["ServiceAccount", 2],
    ["Token", 3],
  ])("answers are kept for each %s", async (cacheType, runs) => {
    const { name, asked } = plugin({ cacheKeyType: "Global", auth });
    const from = providersOf([name], attributes({ cacheType }), undefined, client);
    const pods = [pod("one", "robot"), pod("two", "robot"), pod("one", "robot"), pod("three", "plain")];
    for (const each of pods) expect(namesIn(image, await from.configsFor(image, each))).toContain("any");
    expect(asked()).toHaveLength(runs);
  });

  test("a token that comes back as a password is good for its pod alone", async () => {
    const { name } = plugin("");
    writeFileSync(
      join(folder, name),
      `#!/bin/sh\ntoken=$(sed 's/.*"serviceAccountToken":"\\([^"]*\\)".*/\\1/')\n` +
        `echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1",` +
        `"cacheKeyType":"Image","auth":{"r.example":{"username":"any","password":"'$token'"}}}'\n`,
    );
    const by = (cacheType: string) => providersOf([name], attributes({ cacheType }), undefined, client);
    expect(await by("ServiceAccount").configsFor(image, pod("one", "robot"))).toEqual([]);
    expect(namesIn(image, await by("Token").configsFor(image, pod("one", "robot")))).toEqual(["any"]);
  });
});

describe("the configuration", () => {
  test("of a folder is that of its files in order", () => {
    const many = join(folder, "config.d");
    mkdirSync(many);
    writeFileSync(join(many, "2.yaml"), config(provider("b")));
    writeFileSync(join(many, "1.json"), config(provider("a", { defaultCacheDuration: "90s" })));
    writeFileSync(join(many, "README"), "not read");
    expect(readCredentialProviders(many).map(({ name, defaultCache_ms }) => [name, defaultCache_ms])).toEqual([
      ["a", 90_000],
      ["b", 3_600_000],
    ]);
    writeFileSync(join(many, "3.yaml"), config(provider("a")));
    expect(() => readCredentialProviders(many)).toThrow("twice");
  });

  test.each([
    [config(provider("../x")), "providers[0].name"],
    [config(provider("x", { matchImages: [] })), "providers[0].matchImages"],
    [config(provider("x", { apiVersion: "credentialprovider.kubelet.k8s.io/v1beta1" })), "providers[0].apiVersion"],
    [config(provider("x", { defaultCacheDuration: "long" })), "providers[0].defaultCacheDuration"],
    [config(provider("x", { tokenAttributes: {} })), "providers[0].tokenAttributes"],
    [config(provider("x", { more: 1 })), 'unknown field "more"'],
    [config(), "at least 1"],
    ["{}", "kind"],
  ])("%s is refused", (text, place) => {
    expect(() => parseCredentialProviders(text, "file")).toThrow(place);
  });
});
