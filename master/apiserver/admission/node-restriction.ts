import { notFound } from "#shared/api/errors.ts";
import { joinErrors, messageOf } from "#shared/api/joined-errors.ts";
import { localPathFinalizer, localPathNodeLabel } from "#shared/api/local-path.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { claimNameOf } from "#shared/api/pod-claims.ts";
import {
  certificateSigningRequests,
  csiDrivers,
  csiNodes,
  leases,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  resourceSlices,
  serviceAccounts,
} from "#shared/api/resources.ts";
import { wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Node, Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceSlice } from "#shared/api/types/resource-v1.generated.ts";
import { strainTaint, strainTypes } from "#shared/board/strains.ts";
import { parseCertificateRequest } from "#shared/pki/certificate-request.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import { nodeNameOf } from "../authz/node.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { refusal } from "./attributes.ts";
import { referencedApiObject } from "./mirror-pod.ts";
import { forbiddenNodeLabels, restrictedNodeLabels } from "./node-labels.ts";

const mirror = "kubernetes.io/config.mirror";

/** A board changes only what is its own: its Node (without taints and reserved labels), its Lease, the pods bound to it,
 *  tokens for them, and certificates in its own name. What the node authoriser cannot see, because it stands in the
 *  body, is checked here. */
export class NodeRestriction implements AdmissionPlugin {
  readonly name = "NodeRestriction";
  readonly mutatesOn = ["DELETE"] as const;

  constructor(
    private readonly reader: ResourceReader,
    private readonly authorizer: Authorizer,
  ) {}

  mutate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const node = nodeNameOf(attributes.user);
    return node === undefined ? undefined : this.#mutate(node, attributes);
  }

  async #mutate(node: string, attributes: AdmissionAttributes): Promise<void> {
    if (node === "") throw refusal(attributes, `could not determine node from user "${attributes.user.name}"`);
    const { group, plural } = attributes.declaration.ref;
    switch (`${plural}.${group}`) {
      case `${pods.plural}.`:
        return this.#pod(node, attributes);
      case `${nodes.plural}.`:
        return ownNode(node, attributes);
      case `${persistentVolumeClaims.plural}.`:
        return claimStatus(node, attributes);
      case `${persistentVolumes.plural}.`:
        return ownFolder(node, attributes);
      case `${serviceAccounts.plural}.`:
        return this.#token(node, attributes);
      case `${leases.plural}.${leases.group}`:
        return ownLease(node, attributes);
      case `${csiNodes.plural}.${csiNodes.group}`:
        if (attributes.name !== node && attributes.object?.metadata.name !== node)
          throw refusal(attributes, "can only access CSINode with the same name as the requesting node");
        return;
      case `${resourceSlices.plural}.${resourceSlices.group}`:
        return ownSlice(node, attributes);
      case `${certificateSigningRequests.plural}.${certificateSigningRequests.group}`:
        return ownCertificate(node, attributes);
      default:
        return;
    }
  }

  #pod(node: string, attributes: AdmissionAttributes): void {
    const { operation, subresource = "" } = attributes;
    if (subresource === "status") podStatus(node, attributes);
    else if (subresource === "eviction") {
      if (operation !== "CREATE") throw refusal(attributes, `unexpected operation ${operation}`);
      if (this.#podOf(attributes).spec?.nodeName !== node)
        throw refusal(attributes, `node ${node} can only evict pods with spec.nodeName set to itself`);
    } else if (subresource !== "")
      throw refusal(
        attributes,
        `unexpected pod subresource "${subresource}", only 'status' and 'eviction' are allowed`,
      );
    else if (operation === "CREATE") this.#mirrorPod(node, attributes);
    else if (operation !== "DELETE")
      throw refusal(
        attributes,
        `unexpected operation "${operation}", node "${node}" can only create and delete mirror pods`,
      );
    else if (this.#podOf(attributes).spec?.nodeName !== node)
      throw refusal(attributes, `node "${node}" can only delete pods with spec.nodeName set to itself`);
  }

  #podOf({ namespace, name }: AdmissionAttributes): Pod {
    const pod = this.reader.get(pods, { namespace, name });
    if (!pod) throw notFound(pods, name);
    return pod;
  }

  #mirrorPod(node: string, attributes: AdmissionAttributes): void {
    const pod = attributes.object as Pod;
    const refuse = (why: string) => refusal(attributes, why);
    if (pod.metadata.annotations?.[mirror] === undefined)
      throw refuse(`pod does not have "${mirror}" annotation, node "${node}" can only create mirror pods`);
    if (pod.spec?.nodeName !== node)
      throw refuse(`node "${node}" can only create pods with spec.nodeName set to itself`);
    const owners = pod.metadata.ownerReferences ?? [];
    const [owner] = owners;
    if (owners.length > 1)
      throw refuse(`node "${node}" can only create pods with a single owner reference set to itself`);
    if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node)
      throw refuse(`node "${node}" can only create pods with an owner reference set to itself`);
    if (!owner.controller)
      throw refuse(`node "${node}" can only create pods with a controller owner reference set to itself`);
    if (owner.blockOwnerDeletion) throw refuse(`node "${node}" must not set blockOwnerDeletion on an owner reference`);
    const found = this.reader.get(nodes, { name: node });
    if (!found) throw notFound(nodes, node);
    if (owner.uid !== found.metadata.uid)
      throw refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${found.metadata.uid}`);
    const referenced = referencedApiObject(pod);
    if (referenced) throw refuse(`node "${node}" can not create pods that reference ${referenced}`);
  }

  async #token(node: string, attributes: AdmissionAttributes): Promise<void> {
    if (attributes.operation !== "CREATE" || attributes.subresource !== "token") return;
    const request = attributes.object as TokenRequest | undefined;
    const bound = request?.spec.boundObjectRef;
    if (!request || bound?.apiVersion !== "v1" || bound.kind !== "Pod" || !bound.name)
      throw refusal(attributes, "node requested token not bound to a pod");
    if (!bound.uid) throw refusal(attributes, "node requested token with a pod binding without a uid");
    const pod = this.reader.get(pods, { namespace: attributes.namespace, name: bound.name });
    if (!pod) throw notFound(pods, bound.name);
    if (bound.uid !== pod.metadata.uid)
      throw refusal(
        attributes,
        `the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    if (pod.spec?.nodeName !== node)
      throw refusal(attributes, "node requested token bound to a pod scheduled on a different node");
    await this.#audience(attributes, request, pod);
  }

  /** A board gets tokens only for audiences that the pod's volumes name, or that it was granted. */
  async #audience(attributes: AdmissionAttributes, request: TokenRequest, pod: Pod): Promise<void> {
    const audiences = request.spec.audiences ?? [];
    if (audiences.length > 1) throw refusal(attributes, "node may only request 0 or 1 audiences");
    const [audience = ""] = audiences;
    if (this.#volumesName(attributes, pod, audience)) return;
    const decision = await this.authorizer.authorize({
      user: attributes.user,
      verb: "request-serviceaccounts-token-audience",
      isResourceRequest: true,
      path: "",
      group: "",
      version: "v1",
      resource: audience,
      ...(attributes.namespace ? { namespace: attributes.namespace } : {}),
      name: attributes.name,
    });
    if (decision.outcome === "allow") return;
    throw refusal(
      attributes,
      `audience "${audience}" not found in pod spec volume, ${attributes.user.name} is not authorized to request tokens for this audience`,
    );
  }

  /** Throws the refusal of one that no volume names, where there are volumes of which that cannot be told. */
  #volumesName(attributes: AdmissionAttributes, pod: Pod, audience: string): boolean {
    const unknown: string[] = [];
    for (const volume of pod.spec?.volumes ?? []) {
      try {
        if (this.#volumeNames(volume, pod, audience)) return true;
      } catch (error) {
        if (!(error instanceof MissingObject)) throw error;
        unknown.push(error.message);
      }
    }
    if (unknown.length === 0) return false;
    throw refusal(attributes, `error validating audience "${audience}": ${joinErrors(unknown)}`);
  }

  /** Throws MissingObject. */
  #volumeNames(volume: Volume, pod: Pod, audience: string): boolean {
    const sources = volume.projected?.sources ?? [];
    if (
      sources.some((source) => source.serviceAccountToken && (source.serviceAccountToken.audience ?? "") === audience)
    )
      return true;
    const claim = claimNameOf(pod, volume);
    const driver = claim ? this.#driverOf(pod.metadata.namespace, claim) : volume.csi?.driver;
    if (!driver) return false;
    const found = this.reader.get(csiDrivers, { name: driver });
    if (!found) throw new MissingObject("csidriver.storage.k8s.io", driver);
    return (found.spec.tokenRequests ?? []).some((request) => request.audience === audience);
  }

  #driverOf(namespace: string | undefined, name: string): string | undefined {
    const claim = this.reader.get(persistentVolumeClaims, { namespace, name });
    if (!claim) throw new MissingObject("persistentvolumeclaim", name);
    const volumeName = claim.spec?.volumeName ?? "";
    const volume = this.reader.get(persistentVolumes, { name: volumeName });
    if (!volume) throw new MissingObject("persistentvolume", volumeName);
    return volume.spec?.csi?.driver;
  }
}

/** What a volume leads to is not there. */
class MissingObject extends Error {
  override readonly name = "MissingObject";

  constructor(kind: string, name: string) {
    super(`${kind} "${name}" not found`);
  }
}

function podStatus(node: string, attributes: AdmissionAttributes): void {
  if (attributes.operation !== "UPDATE") throw refusal(attributes, `unexpected operation "${attributes.operation}"`);
  const pod = attributes.object as Pod;
  const old = attributes.oldObject as Pod;
  if (old.spec?.nodeName !== node)
    throw refusal(attributes, `node "${node}" can only update pod status for pods with spec.nodeName set to itself`);
  if (!Bun.deepEquals(old.metadata.labels ?? {}, pod.metadata.labels ?? {}))
    throw refusal(attributes, `node "${node}" cannot update labels through pod status`);
  if (!Bun.deepEquals(old.status?.resourceClaimStatuses ?? [], pod.status?.resourceClaimStatuses ?? []))
    throw refusal(attributes, `node "${node}" cannot update resource claim statues`);
  if (!Bun.deepEquals(old.status?.extendedResourceClaimStatus, pod.status?.extendedResourceClaimStatus))
    throw refusal(attributes, `node "${node}" cannot update extended resource claim status`);
}

function ownNode(name: string, attributes: AdmissionAttributes): void {
  const node = attributes.object as Node | undefined;
  const requested = attributes.name || node?.metadata.name || "";
  if (requested !== name) throw refusal(attributes, `node "${name}" is not allowed to modify node "${requested}"`);
  const old = attributes.oldObject as Node | undefined;
  if (!node) {
    assertUnmarked(name, old, attributes);
    return;
  }
  const labels = forbiddenNodeLabels(node.metadata.labels ?? {}, old?.metadata.labels ?? {}).join(", ");
  if (attributes.operation === "CREATE") {
    if (node.spec?.configSource)
      throw refusal(attributes, `node "${name}" is not allowed to create pods with a non-nil configSource`);
    if (labels) throw refusal(attributes, `node "${name}" is not allowed to set the following labels: ${labels}`);
    // Upstream forbids only to change them. Here a board might name as its owner what it may delete, and so be rid of its taints.
    if (node.metadata.ownerReferences?.length)
      throw refusal(attributes, `node "${name}" is not allowed to set ownerReferences`);
  }
  if (attributes.operation !== "UPDATE" || !old) return;
  if (node.spec?.configSource && !Bun.deepEquals(node.spec.configSource, old.spec?.configSource))
    throw refusal(attributes, `node "${name}" is not allowed to update configSource to a new non-nil configSource`);
  if (!Bun.deepEquals(node.spec?.taints ?? [], old.spec?.taints ?? []))
    throw refusal(attributes, `node "${name}" is not allowed to modify taints`);
  if (!Bun.deepEquals(node.metadata.ownerReferences ?? [], old.metadata.ownerReferences ?? []))
    throw refusal(attributes, `node "${name}" is not allowed to modify ownerReferences`);
  if (labels) throw refusal(attributes, `is not allowed to modify labels: ${labels}`);
}

/** A board that leaves deletes its Node, which upstream's may not: they would be rid of what others have put on it when they register
 *  anew. So one stays that somebody has tainted or given a restricted label; what the control plane itself puts on a Node comes back by
 *  itself. */
function assertUnmarked(name: string, node: Node | undefined, attributes: AdmissionAttributes): void {
  const taints = (node?.spec?.taints ?? []).map(({ key }) => key).filter((key) => !isControlPlanes(key));
  const labels = restrictedNodeLabels(node?.metadata.labels ?? {});
  const marks = [
    ...(taints.length > 0 ? [`taints: ${taints.join(", ")}`] : []),
    ...(labels.length > 0 ? [`labels: ${labels.join(", ")}`] : []),
  ];
  if (marks.length === 0) return;
  throw refusal(attributes, `node "${name}" is not allowed to delete itself while it has ${marks.join(" and ")}`);
}

/** Somebody says of a board that it is out of service: only that is not put on again by itself. */
const { outOfService: _, ...ownTaints } = wellKnownTaints;
const controlPlanesTaints = new Set<string>([...Object.values(ownTaints), ...strainTypes.map(strainTaint)]);
const isControlPlanes = (key: string): boolean => controlPlanesTaints.has(key);

function claimStatus(node: string, attributes: AdmissionAttributes): void {
  if (attributes.subresource !== "status") throw refusal(attributes, "may only update PVC status");
  if (attributes.operation !== "UPDATE") throw refusal(attributes, `unexpected operation "${attributes.operation}"`);
  const { object, oldObject } = attributes;
  if (object && oldObject && Bun.deepEquals(withoutVolumeState(object), withoutVolumeState(oldObject))) return;
  throw refusal(
    attributes,
    `node "${node}" is not allowed to update fields other than status.quantity and status.conditions`,
  );
}

/** Of a volume a node changes one thing: it says that the folder of a deleted one is gone. */
function ownFolder(node: string, attributes: AdmissionAttributes): void {
  const { object, oldObject, operation } = attributes;
  // Others are only reached by who was granted more than nodes are.
  if (oldObject?.metadata.labels?.[localPathNodeLabel] !== node) return;
  if (operation === "UPDATE" && object && oldObject.metadata.deletionTimestamp) {
    const others = (oldObject.metadata.finalizers ?? []).filter((finalizer) => finalizer !== localPathFinalizer);
    const isSame = Bun.deepEquals(withoutFinalizers(object), withoutFinalizers(oldObject));
    if (isSame && Bun.deepEquals(object.metadata.finalizers ?? [], others)) return;
  }
  throw refusal(attributes, `node "${node}" may only take ${localPathFinalizer} off its own deleted volumes`);
}

function withoutFinalizers(volume: KubeObject): object {
  const { managedFields: _fields, resourceVersion: _version, finalizers: _finalizers, ...metadata } = volume.metadata;
  return { ...fieldsOf(volume), metadata };
}

/** A claim without what a kubelet reports about its volume. */
function withoutVolumeState(claim: KubeObject): object {
  const { managedFields: _fields, resourceVersion: _version, ...metadata } = claim.metadata;
  const {
    capacity: _capacity,
    conditions: _conditions,
    allocatedResources: _resources,
    allocatedResourceStatuses: _statuses,
    ...status
  } = (fieldsOf(claim)["status"] ?? {}) as Record<string, unknown>;
  return { ...fieldsOf(claim), metadata, status };
}

function ownLease(node: string, attributes: AdmissionAttributes): void {
  if (attributes.namespace !== "kube-node-lease")
    throw refusal(attributes, 'can only access leases in the "kube-node-lease" system namespace');
  const name = attributes.operation === "CREATE" ? attributes.object?.metadata.name : attributes.name;
  if (name !== node) throw refusal(attributes, "can only access node lease with the same name as the requesting node");
}

function ownSlice(node: string, attributes: AdmissionAttributes): void {
  const { operation } = attributes;
  if (operation !== "CREATE" && operation !== "DELETE") return;
  const slice = (operation === "CREATE" ? attributes.object : attributes.oldObject) as ResourceSlice | undefined;
  if (slice?.spec.nodeName !== node)
    throw refusal(
      attributes,
      `can only ${operation.toLowerCase()} ResourceSlice with the same NodeName as the requesting node`,
    );
}

async function ownCertificate(node: string, attributes: AdmissionAttributes): Promise<void> {
  if (attributes.operation !== "CREATE" || attributes.subresource) return;
  const { spec } = attributes.object as CertificateSigningRequest;
  if (
    spec.signerName !== "kubernetes.io/kubelet-serving" &&
    spec.signerName !== "kubernetes.io/kube-apiserver-client-kubelet"
  )
    return;
  let commonName: string;
  try {
    ({ commonName } = await parseCertificateRequest(Buffer.from(spec.request, "base64").toString("utf8")));
  } catch (error) {
    throw refusal(attributes, `unable to parse csr: ${messageOf(error)}`);
  }
  if (commonName !== `system:node:${node}`)
    throw refusal(attributes, `can only create a node CSR with CN=system:node:${node}`);
}
