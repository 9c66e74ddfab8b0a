import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { certificateSigningRequests, endpointSlices, nodes, services } from "#shared/api/resources.ts";
import type { SubjectAccessReview } from "#shared/api/types/authorization-v1.generated.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { timestamp } from "#shared/client/clock.ts";
import {
  type ControllerDefinition,
  defineController,
  type EnqueueMapper,
  watching,
} from "#shared/client/controller.ts";
import type { NamedSubject } from "#shared/pki/certificate-facts.ts";
import { requestProblem, signerNames } from "#shared/pki/signers.ts";
import { onlyBoardOf } from "../../apiserver/authz/bramble-roles.ts";
import { askedFor, isDecided, withCondition } from "./request-state.ts";
import { mayServe, type Neighbours, servingFacts } from "./serving-names.ts";

const subjectAccessReviews: ResourceRef<SubjectAccessReview> = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  namespaced: false,
};

/** Open requests for serving certificates are found under one key: there are few. */
const waiting = "waiting";
const byWaiting = (request: CertificateSigningRequest): string[] =>
  request.spec.signerName === signerNames.kubeletServing && !isDecided(request) ? [waiting] : [];

/** What a board may have depends on the others, too. */
const everyWaiting: EnqueueMapper<KubeObject> = (_object, { lister }) =>
  lister(certificateSigningRequests)
    .byIndex(waiting, waiting)
    .map((request) => request.metadata.name ?? "");

/** The Service of the API servers, and its EndpointSlice. */
const apiKey = "default/kubernetes";
const ofApi: EnqueueMapper<KubeObject> = (object, context) =>
  keyOf(object) === apiKey ? everyWaiting(object, context) : [];

/**
 * Approves what boards ask for: a client certificate in their own name (as upstream: whoever may `create`
 * certificatesigningrequests/nodeclient or /selfnodeclient), and, unlike upstream, which leaves it to people, serving
 * certificates for the names and addresses that are theirs (serving-names.ts). One that asks for others waits: the Node
 * may still learn them, or somebody approves by hand.
 *
 * @param apiNames further names and addresses of API servers, beside those that the cluster's objects tell.
 */
export const certificateApprover = (apiNames: readonly string[] = []): ControllerDefinition =>
  defineController({
    name: "certificate-approver",
    serviceAccount: "certificate-controller",
    concurrency: 2,
    watches: [
      watching(certificateSigningRequests, { indexes: { [waiting]: byWaiting } }),
      watching(nodes, {
        enqueue: everyWaiting,
        // Boards tell of themselves often; what a request waits for changes seldom.
        when: (event) => event.type !== "update" || servingFacts(event.object) !== servingFacts(event.old),
      }),
      watching(services, { enqueue: ofApi }),
      watching(endpointSlices, { enqueue: ofApi }),
    ],
    async reconcile(key, { lister, client, clock }) {
      const request = lister(certificateSigningRequests).get(key);
      if (!request || isDecided(request) || request.status?.certificate) return;
      const asked = await askedFor(request);
      if (!asked) return;
      const message = await approvalMessage(request, asked, client, () => ({
        nodes: lister(nodes).list(),
        apiService: lister(services).get(apiKey),
        apiEndpoints: lister(endpointSlices).get(apiKey),
        apiNames,
      }));
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
  asked: NamedSubject,
  client: Client,
  neighbours: () => Neighbours,
): Promise<string | undefined> {
  const { signerName, usages = [], username = "", groups = [] } = request.spec;
  if (signerName === signerNames.kubeletServing) {
    if (requestProblem(signerName, asked, usages)) return undefined;
    return mayServe(request, asked, neighbours())
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
