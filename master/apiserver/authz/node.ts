import { localPathNodeLabel, localPathSelector } from "#shared/api/local-path.ts";
import { csiNodes, pods } from "#shared/api/resources.ts";
import { parseFieldSelector } from "#shared/api/selector/field-selector.ts";
import { parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import type { PolicyRule } from "#shared/api/types/rbac-v1.generated.ts";
import type { User } from "../request.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";
import type { NodeGraph, RelatedKind } from "./node-graph.ts";
import { ruleAllows } from "./rbac-rules.ts";

/** The name of the node that a user is, if the user is one: `system:node:<name>` in the group system:nodes. */
export function nodeNameOf(user: User): string | undefined {
  const prefix = "system:node:";
  return user.name.startsWith(prefix) && user.groups.includes("system:nodes")
    ? user.name.slice(prefix.length)
    : undefined;
}

const allow: Decision = { outcome: "allow", reason: "" };
const pass = (reason = ""): Decision => ({ outcome: "no-opinion", reason });

/**
 * What a board may reach by itself: its own Node, Lease and CSINode, pods bound to it, and what those pods refer to.
 * Everything else that boards need alike stands in the rules of system:node. It never denies: RBAC is asked next.
 */
export class NodeAuthorizer implements Authorizer {
  constructor(
    private readonly graph: NodeGraph,
    /** Rules of the ClusterRole system:node. */
    private readonly nodeRules: readonly PolicyRule[],
  ) {}

  authorize(request: Attributes): Decision {
    const node = nodeNameOf(request.user);
    if (node === undefined) return pass();
    if (node === "") return pass(`unknown node for user "${request.user.name}"`);
    const special = request.isResourceRequest ? this.#special(node, request) : undefined;
    if (special) return special;
    return this.nodeRules.some((rule) => ruleAllows(rule, request)) ? allow : pass();
  }

  /** undefined: the resource is not subdivided between nodes. */
  #special(node: string, request: Attributes): Decision | undefined {
    switch (`${request.resource}.${request.group}`) {
      case "secrets.":
        return this.#readRelated(node, "secret", request);
      case "configmaps.":
        return this.#readRelated(node, "configMap", request);
      case "persistentvolumeclaims.":
        return request.subresource === "status"
          ? this.#updateStatus(node, "claim", request)
          : this.#getRelated(node, "claim", request);
      case "persistentvolumes.":
        return this.#volume(node, request);
      case "resourceclaims.resource.k8s.io":
        return this.#getRelated(node, "resourceClaim", request);
      case "volumeattachments.storage.k8s.io":
        return this.#getRelated(node, "volumeAttachment", request);
      case "serviceaccounts.":
        return this.#serviceAccount(node, request);
      case "leases.coordination.k8s.io":
        return lease(node, request);
      case "csinodes.storage.k8s.io":
        return csiNode(node, request);
      case "resourceslices.resource.k8s.io":
        return this.#resourceSlice(node, request);
      case "nodes.":
        return ownNode(node, request);
      case "pods.":
        return this.#pod(node, request);
      default:
        return undefined;
    }
  }

  #related(node: string, kind: RelatedKind, request: Attributes): Decision {
    if (!request.name) return pass("No Object name found");
    return this.graph.isRelated(node, kind, { namespace: request.namespace, name: request.name })
      ? allow
      : pass(`no relationship found between node '${node}' and this object`);
  }

  #readRelated(node: string, kind: RelatedKind, request: Attributes): Decision {
    if (!["get", "list", "watch"].includes(request.verb)) return pass("can only read resources of this type");
    if (request.subresource) return pass("cannot read subresource");
    if (!request.namespace) return pass("can only read namespaced object of this type");
    return this.#related(node, kind, request);
  }

  #getRelated(node: string, kind: RelatedKind, request: Attributes): Decision {
    if (request.verb !== "get") return pass("can only get individual resources of this type");
    if (request.subresource) return pass("cannot get subresource");
    return this.#related(node, kind, request);
  }

  /** Beyond what its pods mount: volumes that are folders of the board, which it takes away in the end. */
  #volume(node: string, request: Attributes): Decision {
    switch (request.verb) {
      case "list":
      case "watch":
        if (selectsLabel(request.labelSelector, localPathNodeLabel, node)) return allow;
        return pass(`can only list/watch persistentvolumes with the label selector ${localPathSelector(node)}`);
      case "patch":
        // NodeRestriction sees to it that no more than the finalizer is taken off.
        return request.subresource ? pass("cannot patch subresource") : this.#related(node, "folder", request);
      default:
        return this.#getRelated(node, "volume", request);
    }
  }

  #updateStatus(node: string, kind: RelatedKind, request: Attributes): Decision {
    if (request.verb !== "update" && request.verb !== "patch") return pass("can only get/update/patch this type");
    return this.#related(node, kind, request);
  }

  #serviceAccount(node: string, request: Attributes): Decision {
    if (request.verb === "get" && !request.subresource) return this.#readRelated(node, "serviceAccount", request);
    if (request.verb !== "create" || !request.name)
      return pass("can only create tokens for individual service accounts");
    if (request.subresource !== "token") return pass("can only create token subresource of serviceaccount");
    return this.#related(node, "serviceAccount", request);
  }

  #resourceSlice(node: string, request: Attributes): Decision {
    if (request.subresource) return pass("cannot authorize ResourceSlice subresources");
    switch (request.verb) {
      case "create":
        // NodeRestriction checks the node name in the body.
        return allow;
      case "get":
      case "update":
      case "patch":
      case "delete":
        return this.#related(node, "resourceSlice", request);
      case "watch":
      case "list":
      case "deletecollection":
        return selectsExactly(request.fieldSelector, "spec.nodeName", node)
          ? allow
          : pass("can only list/watch/deletecollection resourceslices with nodeName field selector");
      default:
        return pass(
          "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
        );
    }
  }

  #pod(node: string, request: Attributes): Decision {
    const { verb } = request;
    switch (request.subresource ?? "") {
      case "":
        if (verb === "get") return this.#getRelated(node, "pod", request);
        if (verb === "list" || verb === "watch") {
          if (selectsExactly(request.fieldSelector, "spec.nodeName", node)) return allow;
          if (request.name) return this.#related(node, "pod", request);
          return pass(`can only list/watch ${pods.plural} with spec.nodeName field selector`);
        }
        // Mirror pods; NodeRestriction sees to it that they are the node's own.
        return verb === "create" || verb === "delete" ? allow : pass();
      case "status":
        return verb === "update" || verb === "patch" ? allow : pass();
      case "eviction":
        return verb === "create" ? allow : pass();
      default:
        return pass();
    }
  }
}

const ownVerbs = ["get", "create", "update", "patch", "delete"];

function lease(node: string, request: Attributes): Decision {
  if (!ownVerbs.includes(request.verb)) return pass("can only get, create, update, patch, or delete a node lease");
  if (request.namespace !== "kube-node-lease")
    return pass('can only access leases in the "kube-node-lease" system namespace');
  // The name is not known on create: NodeRestriction looks at the body.
  if (request.verb !== "create" && request.name !== node)
    return pass("can only access node lease with the same name as the requesting node");
  return allow;
}

function csiNode(node: string, request: Attributes): Decision {
  if (!ownVerbs.includes(request.verb))
    return pass(`can only get, create, update, patch, or delete a ${csiNodes.kind}`);
  if (request.subresource) return pass("cannot authorize CSINode subresources");
  if (request.verb !== "create" && request.name !== node)
    return pass("can only access CSINode with the same name as the requesting node");
  return allow;
}

function ownNode(node: string, request: Attributes): Decision {
  const { verb, name } = request;
  if (request.subresource === "status") return verb === "update" || verb === "patch" ? allow : pass();
  if (request.subresource) return pass();
  if (["create", "update", "patch"].includes(verb)) return allow;
  // Upstream's nodes never leave by themselves; NodeRestriction sees to it that a board loses nothing so which others have put on it.
  if (verb === "delete") return name === node ? allow : pass(`node '${node}' can only delete its own Node object`);
  if (!["get", "list", "watch"].includes(verb)) return pass();
  if (name === node) return allow;
  return pass(
    name
      ? `node '${node}' cannot read '${name}', only its own Node object`
      : `node '${node}' cannot read all nodes, only its own Node object`,
  );
}

function selectsLabel(selector: string | undefined, label: string, value: string): boolean {
  if (!selector) return false;
  try {
    return parseLabelSelector(selector).exactValue(label) === value;
  } catch {
    // As below: the request itself is refused later with the reason.
    return false;
  }
}

function selectsExactly(selector: string | undefined, field: string, value: string): boolean {
  if (!selector) return false;
  try {
    return parseFieldSelector(selector).requirements.some(
      (requirement) => requirement.field === field && requirement.operator !== "!=" && requirement.value === value,
    );
  } catch {
    // A selector that cannot be parsed narrows nothing; the request itself is refused later with the reason.
    return false;
  }
}
