/** Acting as somebody else (Impersonate- headers), as upstream's filter has it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { request } from "node:https";
import { clusterRoleBindings, clusterRoles } from "#shared/api/resources.ts";
import { issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

let server: SecuredServer;
let root: KeyAndCertificate;
let helper: KeyAndCertificate;
const rbac = "rbac.authorization.k8s.io";

beforeAll(async () => {
  server = await startSecuredServer();
  const issue = (commonName: string, organizations: readonly string[] = []) =>
    issueCertificate(server.pki.authorities.ca, { commonName, organizations }, [extendedKeyUsages.clientAuth]);
  root = await issue("root", ["system:masters"]);
  helper = await issue("helper");
  await server.admin.create(clusterRoles, {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRole",
    metadata: { name: "impersonator" },
    rules: [
      { verbs: ["impersonate"], apiGroups: [""], resources: ["users"], resourceNames: ["anna"] },
      { verbs: ["impersonate"], apiGroups: [""], resources: ["groups"], resourceNames: ["developers"] },
      { verbs: ["impersonate"], apiGroups: [""], resources: ["serviceaccounts"], resourceNames: ["robot"] },
      { verbs: ["impersonate"], apiGroups: ["authentication.k8s.io"], resources: ["uids"], resourceNames: ["u-1"] },
      {
        verbs: ["impersonate"],
        apiGroups: ["authentication.k8s.io"],
        resources: ["userextras/scopes"],
        resourceNames: ["view"],
      },
    ],
  });
  await server.admin.create(clusterRoleBindings, {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: "impersonator" },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "impersonator" },
    subjects: [{ kind: "User", name: "helper", apiGroup: rbac }],
  });
});
afterAll(() => server.stop());

interface Answer {
  readonly code: number | undefined;
  readonly body: {
    readonly message?: string;
    readonly reason?: string;
    readonly status?: { readonly userInfo?: object };
  };
}

/** A SelfSubjectReview with these headers; an array is a header that comes several times. */
function whoAmI(as: KeyAndCertificate, headers: Readonly<Record<string, string | string[]>>): Promise<Answer> {
  return new Promise((done, fail) => {
    const asked = request(
      `${server.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
      {
        method: "POST",
        ca: server.pki.authorities.trusted,
        cert: as.certificatePem,
        key: as.keyPem,
        headers: { "content-type": "application/json", ...headers },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () =>
          done({ code: response.statusCode, body: JSON.parse(Buffer.concat(parts).toString()) as Answer["body"] }),
        );
      },
    );
    asked.on("error", fail);
    asked.end(JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }));
  });
}

const userInfo = async (as: KeyAndCertificate, headers: Parameters<typeof whoAmI>[1]): Promise<object | undefined> =>
  (await whoAmI(as, headers)).body.status?.userInfo;

describe("whoever may, is", () => {
  test("a user, with all that is said of him", async () => {
    expect(
      await userInfo(root, {
        "Impersonate-User": "anna",
        "Impersonate-Group": ["developers", "on, call"],
        "Impersonate-Uid": "u-1",
        "Impersonate-Extra-Scopes": ["view", "edit,delete"],
        "Impersonate-Extra-Acme.com%2FProject": "some-project",
      }),
    ).toEqual({
      username: "anna",
      uid: "u-1",
      groups: ["developers", "on, call", "system:authenticated"],
      extra: { scopes: ["view", "edit,delete"], "acme.com/project": ["some-project"] },
    });
  });

  test("a service account with its groups, unless others are given", async () => {
    const name = "system:serviceaccount:blue:robot";
    expect(await userInfo(root, { "Impersonate-User": name })).toEqual({
      username: name,
      groups: ["system:serviceaccounts", "system:serviceaccounts:blue", "system:authenticated"],
    });
    expect(await userInfo(root, { "Impersonate-User": name, "Impersonate-Group": "x" })).toEqual({
      username: name,
      groups: ["x", "system:authenticated"],
    });
  });

  test("somebody without a name, or in exactly the groups that were given", async () => {
    expect(await userInfo(root, { "Impersonate-User": "anna", "Impersonate-Group": "system:authenticated" })).toEqual({
      username: "anna",
      groups: ["system:authenticated"],
    });
    const nobody = await whoAmI(root, { "Impersonate-User": "system:anonymous" });
    expect(nobody.code).toBe(403);
    expect(nobody.body.message).toContain('User "system:anonymous" cannot create');
  });

  test("a key of an extra that is wrongly escaped stays as it is", async () => {
    expect(await userInfo(root, { "Impersonate-User": "anna", "Impersonate-Extra-%zz": "x" })).toEqual({
      username: "anna",
      groups: ["system:authenticated"],
      extra: { "%zz": ["x"] },
    });
  });
});

describe("each part needs its own right", () => {
  const anna = { "Impersonate-User": "anna" };

  test("and with all of them it is so", async () => {
    const all = { "Impersonate-Group": "developers", "Impersonate-Uid": "u-1", "Impersonate-Extra-scopes": "view" };
    expect(await userInfo(helper, { ...anna, ...all })).toEqual({
      username: "anna",
      uid: "u-1",
      groups: ["developers", "system:authenticated"],
      extra: { scopes: ["view"] },
    });
    const robot = { "Impersonate-User": "system:serviceaccount:blue:robot" };
    expect((await whoAmI(helper, robot)).code).toBe(201);
  });

  const core = 'in API group "" at the cluster scope';
  const authentication = 'in API group "authentication.k8s.io" at the cluster scope';
  test.each([
    [
      { "Impersonate-User": "ben" },
      `users "ben" is forbidden: User "helper" cannot impersonate resource "users" ${core}`,
    ],
    [
      { ...anna, "Impersonate-Group": ["developers", "system:masters"] },
      `groups "system:masters" is forbidden: User "helper" cannot impersonate resource "groups" ${core}`,
    ],
    [
      { ...anna, "Impersonate-Uid": "u-2" },
      `uids.authentication.k8s.io "u-2" is forbidden: User "helper" cannot impersonate resource "uids" ${authentication}`,
    ],
    [
      { ...anna, "Impersonate-Extra-scopes": ["view", "edit"] },
      `userextras.authentication.k8s.io "edit" is forbidden: User "helper" cannot impersonate resource "userextras/scopes" ${authentication}`,
    ],
    [
      { "Impersonate-User": "system:serviceaccount:blue:other" },
      'serviceaccounts "other" is forbidden: User "helper" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "blue"',
    ],
  ])("%j", async (headers: Record<string, string | string[]>, message) => {
    const { code, body } = await whoAmI(helper, headers);
    expect([code, body.reason, body.message]).toEqual([403, "Forbidden", message]);
  });

  test("groups, uid or extra without a user are refused", async () => {
    for (const headers of [
      { "Impersonate-Group": "developers" },
      { "Impersonate-Uid": "u-1" },
      { "Impersonate-Extra-scopes": "view" },
    ] as Record<string, string>[]) {
      const { code, body } = await whoAmI(root, headers);
      expect([code, body.message]).toEqual([400, expect.stringContaining("without impersonating a user")]);
    }
  });
});
