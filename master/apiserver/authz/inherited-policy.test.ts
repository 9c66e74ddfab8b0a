import { afterEach, beforeEach, expect, test } from "bun:test";
import { clusterRoleBindings, clusterRoles } from "#shared/api/resources.ts";
import type { ClusterRole, ClusterRoleBinding } from "#shared/api/types/rbac-v1.generated.ts";
import { startTestServer, type TestServer } from "../../../test/support/apiserver.ts";
import { bootstrapPolicy } from "./bootstrap-policy.ts";
import { reconcilePolicy } from "./policy-reconciler.ts";

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.stop());

const autoupdate = { "rbac.authorization.kubernetes.io/autoupdate": "false" };
const apiGroup = "rbac.authorization.k8s.io";

const binding = (name: string, more: Partial<ClusterRoleBinding>) =>
  ({
    metadata: { name, annotations: autoupdate },
    roleRef: { apiGroup, kind: "ClusterRole", name },
    ...more,
  }) as ClusterRoleBinding;

const subjectsOf = async (name: string) =>
  (await server.client.get(clusterRoleBindings, { name })).subjects?.map((subject) => subject.name);

test("what strangers may read is bound to whom people left discovery to", async () => {
  const { client } = server;
  const subjects = [{ apiGroup, kind: "Group", name: "system:authenticated" }];
  await client.create(clusterRoleBindings, binding("system:discovery", { subjects }));
  await reconcilePolicy(client, bootstrapPolicy());
  const split = await client.get(clusterRoleBindings, { name: "system:public-info-viewer" });
  expect(split.subjects?.map(({ name }) => name)).toEqual(["system:authenticated"]);
  expect(split.metadata.annotations).toEqual(autoupdate);
  expect(split.roleRef.name).toBe("system:public-info-viewer");
});

test("a binding that is there is left as it is, and in a new cluster all have what is theirs", async () => {
  const { client } = server;
  await reconcilePolicy(client, bootstrapPolicy());
  expect(await subjectsOf("system:public-info-viewer")).toEqual(["system:authenticated", "system:unauthenticated"]);
  const discovery = await client.get(clusterRoleBindings, { name: "system:discovery" });
  await client.update(clusterRoleBindings, { ...discovery, subjects: [] });
  await reconcilePolicy(client, bootstrapPolicy());
  expect(await subjectsOf("system:public-info-viewer")).toEqual(["system:authenticated", "system:unauthenticated"]);
});

test("rules that a role has of its own go to the one that it collects them from", async () => {
  const { client } = server;
  const rules = [{ apiGroups: ["example.com"], resources: ["things"], verbs: ["get"] }];
  await client.create(clusterRoles, { metadata: { name: "view" }, rules } as unknown as ClusterRole);
  await reconcilePolicy(client, bootstrapPolicy());
  const collected = await client.get(clusterRoles, { name: "system:aggregate-to-view" });
  expect(collected.rules).toContainEqual(rules[0] as never);
  expect((await client.get(clusterRoles, { name: "view" })).aggregationRule).toBeDefined();
  // Whose rules are collected has nothing to pass on.
  await client.delete(clusterRoles, { name: "system:aggregate-to-view" });
  await reconcilePolicy(client, bootstrapPolicy());
  expect((await client.get(clusterRoles, { name: "system:aggregate-to-view" })).rules).not.toContainEqual(
    rules[0] as never,
  );
});
