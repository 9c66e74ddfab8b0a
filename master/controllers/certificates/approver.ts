import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { certificateSigningRequests, nodes } from "#shared/api/resources.ts";
import type { SubjectAccessReview } from "#shared/api/types/authorization-v1.generated.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { timestamp } from "#shared/client/clock.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import type { ParsedRequest } from "#shared/pki/certificate.ts";
import { requestProblem, signerNames } from "#shared/pki/signers.ts";
import { onlyBoardOf } from "../../apiserver/authz/bramble-roles.ts";
import { askedFor, isDecided, withCondition } from "./request-state.ts";

const subjectAccessReviews: ResourceRef<SubjectAccessReview> = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  namespaced: false,
};

/** Open requests for serving certificates, by the name of the node that asks. */
const byWaitingNode = (request: CertificateSigningRequest): string[] =>
  request.spec.signerName === signerNames.kubeletServing && !isDecided(request)
    ? [(request.spec.username ?? "").replace(/^system:node:/, "")]
    : [];

/**
 * Approves what boards ask for: a client certificate in their own name (as upstream: whoever may `create`
 * certificatesigningrequests/nodeclient or /selfnodeclient), and, unlike upstream, which leaves it to people, serving
 * certificates for the names and addresses that their Node object has. One that asks for other addresses waits: the Node
 * may still learn them, or somebody approves by hand.
 */
export const certificateApprover: ControllerDefinition = defineController({
  name: "certificate-approver",
  serviceAccount: "certificate-controller",
  concurrency: 2,
  watches: [
    watching(certificateSigningRequests, { indexes: { waitingNode: byWaitingNode } }),
    watching(nodes, {
      enqueue: (node, { lister }) =>
        lister(certificateSigningRequests)
          .byIndex("waitingNode", node.metadata.name ?? "")
          .map((request) => request.metadata.name ?? ""),
    }),
  ],
  async reconcile(key, { lister, client, clock }) {
    const request = lister(certificateSigningRequests).get(key);
    if (!request || isDecided(request) || request.status?.certificate) return;
    const asked = await askedFor(request);
    if (!asked) return;
    const message = await approvalMessage(request, asked, client, (name) => lister(nodes).get(name));
    if (message === undefined) return;
    const now = timestamp(clock);
    const approved = withCondition(request, {
      type: "Approved",
      status: "True",
      reason: "AutoApproved",
      message,
      lastUpdateTime: now,
      lastTransitionTime: now,
    });
    await client.update(certificateSigningRequests, approved, { subresource: "approval" });
  },
});

/** Why to approve; undefined when it is not for this controller. */
async function approvalMessage(
  request: CertificateSigningRequest,
  asked: ParsedRequest,
  client: Client,
  nodeOf: (name: string) => Node | undefined,
): Promise<string | undefined> {
  const { signerName, usages = [], username = "", groups = [] } = request.spec;
  if (signerName === signerNames.kubeletServing) {
    if (requestProblem(signerName, asked, usages)) return undefined;
    return mayServe(request, asked, nodeOf)
      ? "Approved the serving certificate of a board for the addresses of its Node."
      : undefined;
  }
  if (signerName !== signerNames.kubeletClient || requestProblem(signerName, asked, usages)) return undefined;
  const only = onlyBoardOf(groups);
  if (only !== undefined && asked.commonName !== `system:node:${only}`) return undefined;
  if (username === asked.commonName && (await isAllowed(client, request, "selfnodeclient")))
    return "Auto approving self kubelet client certificate after SubjectAccessReview.";
  if (await isAllowed(client, request, "nodeclient"))
    return "Auto approving kubelet client certificate after SubjectAccessReview.";
  return undefined;
}

/** Exported for its tests. */
export function mayServe(
  { spec }: CertificateSigningRequest,
  asked: ParsedRequest,
  nodeOf: (name: string) => Node | undefined,
): boolean {
  const { username = "", groups = [] } = spec;
  if (asked.commonName !== username || !groups.includes("system:nodes")) return false;
  const name = username.replace(/^system:node:/, "");
  const node = nodeOf(name);
  if (!node) return false;
  const addresses = (node.status?.addresses ?? []).map(({ address }) => address);
  return (
    asked.dnsNames.every((dnsName) => dnsName === name || addresses.includes(dnsName)) &&
    asked.ipAddresses.every((ip) => addresses.includes(ip))
  );
}

async function isAllowed(client: Client, { spec }: CertificateSigningRequest, subresource: string): Promise<boolean> {
  const { username, uid, groups, extra } = spec;
  const review = await client.create(subjectAccessReviews, {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    metadata: {},
    spec: {
      user: username,
      uid,
      groups,
      extra,
      resourceAttributes: {
        group: "certificates.k8s.io",
        resource: "certificatesigningrequests",
        subresource,
        verb: "create",
        version: "*",
      },
    },
  });
  return review.status?.allowed ?? false;
}
