import { describe, expect, test } from "bun:test";
import { type EndpointOptions, endpointsFor, isConfigured } from "./endpoints.ts";
import { parseRegistries } from "./registries-config.ts";

const config = parseRegistries(`
mirrors:
  docker.io:
    endpoint: ["https://mirror.example:5000/v2/hub", "http://10.0.0.2"]
    rewrite: { "^library/(.*)": "official/$1", ".*": "never/used" }
  quay.io:
    endpoint: [cache.example, "https://quay.io"]
configs:
  "mirror.example:5000": { auth: { auth: ${Buffer.from("me:se:cret").toString("base64")} } }
  docker.io: { auth: { username: hub, password: word } }
  "registry.lan:5000": { tls: { insecure_skip_verify: true } }
`);
const options: EndpointOptions = { useRegistryItself: true };
const urls = (domain: string, path: string, given = options) =>
  endpointsFor(config, { domain, path }, given).map(({ url }) => url);

describe("where a repository may be had", () => {
  test("mirrors in order with their rewrites, then the registry itself without", () => {
    expect(urls("docker.io", "library/nginx")).toEqual([
      "https://mirror.example:5000/v2/hub/official/nginx",
      "http://10.0.0.2/v2/official/nginx",
      "https://registry-1.docker.io/v2/library/nginx",
    ]);
    expect(urls("quay.io", "org/app")).toEqual(["https://cache.example/v2/org/app", "https://quay.io/v2/org/app"]);
    expect(urls("docker.io", "library/nginx", { useRegistryItself: false })).toHaveLength(2);
    expect(urls("127.0.0.1:5000", "app")).toEqual(["http://127.0.0.1:5000/v2/app"]);
  });

  test("credentials reach the host that they are for", () => {
    const auth = { username: "pod", password: "own" };
    const found = endpointsFor(config, { domain: "docker.io", path: "a/b" }, { ...options, auth });
    expect(found.map(({ auth: shown }) => shown?.username)).toEqual(["me", undefined, "pod"]);
    expect(found[0]?.auth?.password).toBe("se:cret");
    expect(found.map(({ namespace }) => namespace)).toEqual(["docker.io", "docker.io", undefined]);
    const byFile = endpointsFor(config, { domain: "docker.io", path: "a/b" }, options);
    expect(byFile.at(-1)?.auth).toMatchObject({ username: "hub", password: "word" });
  });

  test("registries that the file does not name are left alone", () => {
    expect(["docker.io", "quay.io", "registry.lan:5000"].map((domain) => isConfigured(config, domain))).toEqual([
      true,
      true,
      true,
    ]);
    expect(isConfigured(config, "ghcr.io")).toBe(false);
    expect(isConfigured(parseRegistries(""), "docker.io")).toBe(false);
  });
});

test("mistakes are told with their place", () => {
  const wrong = (text: string) => () => parseRegistries(text);
  expect(wrong("mirror: {}")).toThrow('unknown field "mirror"');
  expect(wrong("mirrors: { docker.io: { endpoint: [ftp://x] } }")).toThrow('mirrors["docker.io"].endpoint: expected');
  expect(wrong('mirrors: { a: { rewrite: { "(": b } } }')).toThrow("regular expression");
  expect(wrong("configs: { a: { tls: { ca_file: /does/not/exist } } }")).toThrow('configs["a"].tls.ca_file: ENOENT');
  expect(wrong("a: [")).toThrow();
});
