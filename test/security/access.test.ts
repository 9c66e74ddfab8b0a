import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeJwt } from "jose";
import {
  certificateSigningRequests,
  configMaps,
  namespaces,
  pods,
  resourceQuotas,
  roleBindings,
  roles,
  serviceAccounts,
} from "#shared/api/resources.ts";
import type { TokenRequest, TokenReview } from "#shared/api/types/authentication-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { createCertificateRequest } from "#shared/pki/certificate-request.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";
import { tokenReviews } from "../../master/apiserver/authn/token-review.ts";
import { clientBinaries, runClient } from "../support/kubectl.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

let server: SecuredServer;
const rbac = "rbac.authorization.k8s.io";

beforeAll(async () => {
  server = await startSecuredServer();
  const { admin } = server;
  const metadata = { name: "blue" };
  await admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata, spec: {} });
  for (const name of ["default", "robot"])
    await admin.create(serviceAccounts, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace: "blue" },
    });
  await admin.create(roles, {
    apiVersion: `${rbac}/v1`,
    kind: "Role",
    metadata: { name: "reader", namespace: "blue" },
    rules: [{ verbs: ["get", "list"], apiGroups: [""], resources: ["configmaps"] }],
  });
  await admin.create(roleBindings, {
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: { name: "reader", namespace: "blue" },
    roleRef: { apiGroup: rbac, kind: "Role", name: "reader" },
    subjects: [{ kind: "ServiceAccount", name: "robot" }],
  });
});
afterAll(() => server.stop());

const podNamed = (name: string, spec: Partial<Pod["spec"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "blue" },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
});

const tokenOf = (spec: Partial<TokenRequest["spec"]> = {}) =>
  server.admin.post<TokenRequest>(serviceAccounts, { namespace: "blue", name: "robot" }, "token", {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: {},
    spec: { audiences: [], ...spec },
  });

const review = (token: string, audiences?: string[]) =>
  server.admin.create(tokenReviews, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    metadata: {},
    spec: { token, ...(audiences ? { audiences } : {}) },
  } satisfies TokenReview);

describe("a service account", () => {
  test("may do by its token what its roles say, and is told what it may not", async () => {
    const { status } = await tokenOf();
    const client = server.clientWith({ token: status?.token ?? "" });
    expect((await client.list(configMaps, { namespace: "blue" })).items).toEqual([]);
    await expect(client.list(configMaps, { namespace: "default" })).rejects.toThrow(
      'configmaps is forbidden: User "system:serviceaccount:blue:robot" cannot list resource "configmaps" in API group "" in the namespace "default"',
    );
    await expect(server.clientWith({ token: `${status?.token}x` }).list(configMaps)).rejects.toThrow("Unauthorized");
  });

  test("loses a token with the pod it is bound to", async () => {
    const pod = await server.admin.create(pods, podNamed("bound", { serviceAccountName: "robot" }));
    const { uid } = pod.metadata;
    const { status } = await tokenOf({ boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "bound", uid } });
    const token = status?.token ?? "";
    expect((await review(token)).status).toMatchObject({
      authenticated: true,
      audiences: ["https://kubernetes.default.svc.cluster.local"],
      user: {
        username: "system:serviceaccount:blue:robot",
        extra: { "authentication.kubernetes.io/pod-name": ["bound"] },
      },
    });
    await server.admin.delete(pods, { namespace: "blue", name: "bound" }, { gracePeriodSeconds: 0 });
    expect((await review(token)).status).toEqual({ user: {}, error: "service account token has been invalidated" });
  });

  test("gets tokens for audiences, which are good for nothing else", async () => {
    const token = (await tokenOf({ audiences: ["vault"], expirationSeconds: 600 })).status?.token ?? "";
    expect((await review(token, ["vault", "bank"])).status).toMatchObject({
      authenticated: true,
      audiences: ["vault"],
    });
    expect((await review(token)).status?.authenticated).toBeUndefined();
    await expect(server.clientWith({ token }).list(configMaps, { namespace: "blue" })).rejects.toThrow("Unauthorized");
    await expect(tokenOf({ expirationSeconds: 60 })).rejects.toThrow(
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
    );
  });

  test("gets a token that lasts as long as it asks", async () => {
    const tenYears_s = 10 * 365 * 86_400;
    const { spec, status } = await tokenOf({ expirationSeconds: tenYears_s });
    const { exp = 0, iat = 0 } = decodeJwt(status?.token ?? "");
    expect([spec.expirationSeconds, exp - iat]).toEqual([tenYears_s, tenYears_s]);
  });
});

describe("a pod", () => {
  test("gets a service account, a priority and tolerations", async () => {
    const { spec } = await server.admin.create(pods, podNamed("plain"));
    expect(spec).toMatchObject({ serviceAccountName: "default", serviceAccount: "default", priority: 0 });
    expect(spec?.volumes?.[0]?.name).toMatch(/^kube-api-access-/);
    expect(spec?.tolerations).toHaveLength(2);
  });

  test("is charged to a quota, and refused when that is used up", async () => {
    const { admin } = server;
    const metadata = { name: "few", namespace: "blue" };
    const hard = { "count/configmaps": "1" };
    const quota = await admin.create(resourceQuotas, {
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata,
      spec: { hard },
    });
    const configMap = (name: string) => ({
      apiVersion: "v1" as const,
      kind: "ConfigMap" as const,
      metadata: { name, namespace: "blue" },
    });
    const status = { hard, used: { "count/configmaps": "0" } };
    await admin.update(resourceQuotas, { ...quota, status }, { subresource: "status" });
    const outcomes = await Promise.allSettled(["a", "b"].map((name) => admin.create(configMaps, configMap(name))));
    expect(outcomes.map(({ status: outcome }) => outcome).sort()).toEqual(["fulfilled", "rejected"]);
    const refused = outcomes.find(({ status: outcome }) => outcome === "rejected") as PromiseRejectedResult;
    expect(refused.reason.message).toContain(
      "exceeded quota: few, requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1",
    );
    await admin.delete(resourceQuotas, { namespace: "blue", name: "few" });
  });
});

describe("kubectl", () => {
  async function as(user: string, groups: string[]): Promise<(...args: string[]) => Promise<string>> {
    const credentials = await issueCertificate(server.pki.authorities.ca, { commonName: user, organizations: groups }, [
      extendedKeyUsages.clientAuth,
    ]);
    const path = join(server.dataDir, `${user}.yaml`);
    const caCertificatePem = server.pki.authorities.ca.certificatePem;
    await writeFile(path, renderKubeconfig({ server: server.url, caCertificatePem, credentials }), { mode: 0o600 });
    return async (...args) => {
      const { stdout, stderr } = await runClient(clientBinaries().kubectl, path, args);
      return `${stdout}${stderr}`.trim();
    };
  }

  test("says who one is and what one may", async () => {
    const anna = await as("anna", ["developers"]);
    expect(await anna("auth", "whoami")).toContain("anna");
    expect(await anna("auth", "can-i", "list", "pods")).toContain("no");
    const admin = await as("root", ["system:masters"]);
    expect(await admin("auth", "can-i", "delete", "nodes", "--as", "anna")).toContain("no");
    expect(
      await admin("auth", "can-i", "list", "configmaps", "-n", "blue", "--as", "system:serviceaccount:blue:robot"),
    ).toBe("yes");
    expect(await anna("auth", "can-i", "--list", "-n", "blue")).toContain(
      "selfsubjectaccessreviews.authorization.k8s.io",
    );
  });

  test("cannot give away what one does not have", async () => {
    const anna = await as("anna", ["developers"]);
    const admin = await as("root", ["system:masters"]);
    const verbs = "--verb=create,get,list,update,patch";
    expect(await admin("create", "role", "granter", verbs, "--resource=roles,rolebindings", "-n", "blue")).toContain(
      "created",
    );
    expect(await admin("create", "rolebinding", "anna", "--role=granter", "--user=anna", "-n", "blue")).toContain(
      "created",
    );
    expect(await anna("create", "role", "thief", "--verb=get", "--resource=secrets", "-n", "blue")).toContain(
      "is attempting to grant RBAC permissions not currently held",
    );
    expect(
      await anna("create", "rolebinding", "up", "--clusterrole=cluster-admin", "--user=anna", "-n", "blue"),
    ).toContain("is attempting to grant RBAC permissions not currently held");
  });

  test("approves a request, which is signed", async () => {
    const admin = await as("root", ["system:masters"]);
    const { requestPem } = await createCertificateRequest({ commonName: "berta", organizations: ["developers"] });
    await server.admin.create(certificateSigningRequests, {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name: "berta" },
      spec: {
        request: Buffer.from(requestPem).toString("base64"),
        signerName: "kubernetes.io/kube-apiserver-client",
        usages: ["client auth"],
      },
    });
    expect(await admin("certificate", "approve", "berta")).toContain("approved");
    expect(await admin("wait", "csr/berta", "--for=jsonpath={.status.certificate}", "--timeout=30s")).toContain(
      "condition met",
    );
    expect(await admin("get", "csr", "berta")).toContain("Approved,Issued");
    expect(await admin("certificate", "deny", "berta")).toContain("already Approved");
  });
});

describe("who shows nothing", () => {
  test("sees health and version, and nothing else", async () => {
    const ca = server.pki.authorities.ca.certificatePem;
    const ask = async (path: string) => (await fetch(`${server.url}${path}`, { tls: { ca } })).status;
    expect(await ask("/healthz")).toBe(200);
    expect(await ask("/version")).toBe(200);
    expect(await ask("/cacerts")).toBe(200);
    expect(await ask("/api")).toBe(403);
    expect(await ask("/api/v1/pods")).toBe(403);
    expect(await ask("/openid/v1/jwks")).toBe(403);
  });
});
