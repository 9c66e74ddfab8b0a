import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestInfoOf } from "../http/request-info.ts";
import { AbacAuthorizer, readAbacPolicies } from "./abac.ts";
import type { Attributes } from "./authorizer.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-abac-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "policies.jsonl");

function reading(...lines: string[]): AbacAuthorizer {
  writeFileSync(path, lines.join("\n"));
  return new AbacAuthorizer(readAbacPolicies(path));
}
const policy = (spec: object): string =>
  JSON.stringify({ apiVersion: "abac.authorization.kubernetes.io/v1beta1", kind: "Policy", spec });

/** Whether `user`, who has signed in, may do it. */
function may(authorizer: AbacAuthorizer, user: string, method: string, url: string, ...groups: string[]): boolean {
  const info = requestInfoOf(method, url, new URLSearchParams());
  const attributes: Attributes = { ...info, user: { name: user, groups: [...groups, "system:authenticated"] } };
  return authorizer.authorize(attributes).outcome === "allow";
}

const pods = "/api/v1/namespaces/web/pods";
const deployments = "/apis/apps/v1/namespaces/web/deployments";

describe("a policy", () => {
  test("is of a user, a group, both, or whoever has signed in", () => {
    const all = { namespace: "*", resource: "*", apiGroup: "*" };
    const authorizer = reading(
      "# people",
      "",
      policy({ user: "anna", ...all }),
      policy({ group: "admins", ...all }),
      policy({ user: "carl", group: "ops", ...all }),
      policy(all),
    );
    expect(may(authorizer, "anna", "GET", pods)).toBe(true);
    expect(may(authorizer, "ben", "GET", pods)).toBe(false);
    expect(may(authorizer, "ben", "GET", pods, "admins")).toBe(true);
    expect([may(authorizer, "carl", "GET", pods), may(authorizer, "carl", "GET", pods, "ops")]).toEqual([false, true]);
    expect(may(reading(policy({ user: "*", ...all })), "ben", "DELETE", `${pods}/a`)).toBe(true);
  });

  test("holds for what it names, and for reading alone where it says so", () => {
    const authorizer = reading(
      policy({ user: "anna", namespace: "web", resource: "pods", readonly: true }),
      policy({ user: "ben", namespace: "*", resource: "deployments", apiGroup: "apps" }),
    );
    expect(may(authorizer, "anna", "GET", `${pods}/a`)).toBe(true);
    expect(may(authorizer, "anna", "POST", pods)).toBe(false);
    expect(may(authorizer, "anna", "GET", "/api/v1/namespaces/other/pods")).toBe(false);
    expect(may(authorizer, "anna", "GET", "/version")).toBe(false);
    expect([may(authorizer, "ben", "POST", deployments), may(authorizer, "ben", "GET", pods)]).toEqual([true, false]);
  });

  test("of paths holds for one, or all that begin so", () => {
    const authorizer = reading(
      policy({ user: "anna", nonResourcePath: "/metrics" }),
      policy({ user: "ben", nonResourcePath: "/healthz*", readonly: true }),
      policy({ user: "carl", nonResourcePath: "*" }),
    );
    expect([may(authorizer, "anna", "GET", "/metrics"), may(authorizer, "anna", "GET", "/metrics/a")]).toEqual([
      true,
      false,
    ]);
    expect(may(authorizer, "ben", "GET", "/healthz/etcd")).toBe(true);
    expect(may(authorizer, "ben", "POST", "/healthz")).toBe(false);
    expect([may(authorizer, "carl", "POST", "/anything"), may(authorizer, "carl", "GET", pods)]).toEqual([true, false]);
  });

  test("without a version means everything by what it leaves out", () => {
    const authorizer = reading(
      '{"user":"anna"}',
      '{"user":"ben","resource":"pods","readonly":true}',
      '{"namespace":"free"}',
    );
    expect([may(authorizer, "anna", "DELETE", deployments), may(authorizer, "anna", "GET", "/version")]).toEqual([
      true,
      true,
    ]);
    expect([may(authorizer, "ben", "GET", pods), may(authorizer, "ben", "GET", "/version")]).toEqual([true, false]);
    expect(may(authorizer, "zoe", "POST", "/api/v1/namespaces/free/secrets")).toBe(true);
  });

  test("that is none is told with its line", () => {
    const fault = (line: string): string => {
      try {
        reading("# first", line);
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(fault("{")).toStartWith(`error reading policy file ${path}, line 2: {: `);
    expect(fault('{"user":1}')).toEndWith("user: expected text, got 1");
    expect(fault('{"apiVersion":"v1","kind":"Pod"}')).toEndWith('no kind "Pod" is registered for version "v1"');
  });
});

test("a user's rules are told", () => {
  const authorizer = reading(
    policy({ user: "anna", namespace: "web", resource: "pods", readonly: true }),
    policy({ user: "anna", namespace: "*", resource: "*", apiGroup: "apps", nonResourcePath: "*" }),
    policy({ user: "ben", namespace: "*", resource: "*" }),
  );
  const user = { name: "anna", groups: [] };
  const apps = [
    { verbs: ["*"], apiGroups: ["apps"], resources: ["*"] },
    { verbs: ["*"], nonResourceURLs: ["*"] },
  ];
  expect(authorizer.rulesFor(user, "web")).toEqual([
    { verbs: ["get", "list", "watch"], apiGroups: [""], resources: ["pods"] },
    ...apps,
  ]);
  expect(authorizer.rulesFor(user, "other")).toEqual(apps);
});
