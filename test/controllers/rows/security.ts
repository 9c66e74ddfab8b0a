import { expect } from "bun:test";
import {
  certificateSigningRequests,
  clusterRoles,
  configMaps,
  namespaces,
  resourceQuotas,
  secrets,
  serviceAccounts,
} from "#shared/api/resources.ts";
import { createCertificateRequest } from "#shared/pki/certificate-request.ts";
import { eventually } from "../../../master/controllers/testing/eventually.ts";
import type { Rows, Stage } from "./stage.ts";

const encode = (text: string): string => Buffer.from(text).toString("base64");
const hour_ms = 3_600_000;

async function request(stage: Stage, name: string): Promise<void> {
  const subject = { commonName: "system:node:new", organizations: ["system:nodes"] };
  const { requestPem } = await createCertificateRequest(subject);
  await stage.admin.create(certificateSigningRequests, {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name },
    spec: {
      request: encode(requestPem),
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      usages: ["digital signature", "client auth"],
    },
  });
}
const joinToken = (id: string, expiration: string) => ({
  apiVersion: "v1" as const,
  kind: "Secret" as const,
  metadata: { namespace: "kube-system", name: `bootstrap-token-${id}` },
  type: "bootstrap.kubernetes.io/token",
  data: {
    "token-id": encode(id),
    "token-secret": encode("0123456789abcdef"),
    "usage-bootstrap-signing": encode("true"),
    expiration: encode(expiration),
  },
});
const accountSecret = (stage: Stage, name: string, account: string) => ({
  apiVersion: "v1" as const,
  kind: "Secret" as const,
  metadata: { ...stage.key(name), annotations: { "kubernetes.io/service-account.name": account } },
  type: "kubernetes.io/service-account-token",
});
const far = "2099-01-01T00:00:00Z";

/** What furnishes namespaces, keeps accounts, certificates and limits. */
export const securityRows: Rows = {
  async "serviceaccount-controller"(stage) {
    await stage.admin.delete(serviceAccounts, stage.key("default"));
    await stage.until(serviceAccounts, stage.key("default"), () => true);
  },
  async "root-ca-certificate-publisher-controller"(stage) {
    await stage.until(configMaps, stage.key("kube-root-ca.crt"), ({ data }) => data?.["ca.crt"]);
  },
  async "serviceaccount-token-controller"(stage) {
    await stage.admin.create(secrets, accountSecret(stage, "token", "default"));
    const filled = await stage.until(secrets, stage.key("token"), ({ data }) => data?.["token"]);
    expect(Object.keys(filled.data ?? {}).sort()).toEqual(["ca.crt", "namespace", "token"]);
  },
  async "resourcequota-controller"(stage) {
    // What there is when a quota comes is counted by its controller, what comes later by who lets it in.
    await eventually(() => stage.exists(configMaps, stage.key("kube-root-ca.crt")), "the ConfigMap of every namespace");
    await stage.admin.create(resourceQuotas, {
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: stage.key("q"),
      spec: { hard: { configmaps: "10" } },
    });
    await stage.until(resourceQuotas, stage.key("q"), ({ status }) => status?.used?.["configmaps"] === "1");
  },
  async "clusterrole-aggregation-controller"(stage) {
    await stage.until(clusterRoles, { name: "view" }, ({ rules }) => rules?.length);
  },
  async "certificate-approver"(stage) {
    await request(stage, "approved");
    await stage.until(certificateSigningRequests, { name: "approved" }, ({ status }) => {
      return status?.conditions?.some(({ type, status: is }) => type === "Approved" && is === "True");
    });
  },
  async "certificate-signer"(stage) {
    await request(stage, "signed");
    await stage.until(certificateSigningRequests, { name: "signed" }, ({ status }) => status?.certificate);
  },
  async "bootstrap-signer-controller"(stage) {
    await stage.admin.create(secrets, joinToken("abcdef", far));
    const key = { namespace: "kube-public", name: "cluster-info" };
    await stage.admin.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: key,
      data: { kubeconfig: "k" },
    });
    await stage.until(configMaps, key, ({ data }) => data?.["jws-kubeconfig-abcdef"]);
  },
  async "token-cleaner-controller"(stage) {
    await stage.admin.create(secrets, joinToken("zzzzzz", "2026-01-01T00:00:00Z"));
    await stage.gone(secrets, { namespace: "kube-system", name: "bootstrap-token-zzzzzz" });
  },
  async "namespace-controller"(stage) {
    const name = `${stage.namespace}-emptied`;
    await stage.admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} });
    await stage.until(configMaps, { namespace: name, name: "kube-root-ca.crt" }, () => true);
    await stage.admin.delete(namespaces, { name });
    await stage.gone(namespaces, { name });
  },
  // The last two set the date ahead, and come last.
  async "certificate-cleaner"(stage) {
    await request(stage, "old");
    await stage.until(certificateSigningRequests, { name: "old" }, ({ status }) => status?.certificate);
    stage.leap(2 * hour_ms);
    const body = { metadata: { annotations: { look: "again" } } };
    await stage.admin.patch(certificateSigningRequests, { name: "old" }, { type: "merge", body });
    await stage.gone(certificateSigningRequests, { name: "old" });
  },
  async "legacy-serviceaccount-token-cleaner-controller"(stage) {
    await stage.admin.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace: "kube-system", name: "kube-apiserver-legacy-service-account-token-tracking" },
      data: { since: "2020-01-01" },
    });
    stage.leap(2 * 365 * 24 * hour_ms);
    await stage.admin.create(serviceAccounts, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: stage.key("ancient"),
      secrets: [{ name: "ancient-token" }],
    });
    await stage.admin.create(secrets, accountSecret(stage, "ancient-token", "ancient"));
    await stage.until(secrets, stage.key("ancient-token"), ({ metadata }) => {
      return metadata.labels?.["kubernetes.io/legacy-token-invalid-since"];
    });
  },
};
