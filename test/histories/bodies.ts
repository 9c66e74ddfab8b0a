/** Objects and patches as clients send them: each write leaves its tag in what it writes. */
import type { KubeObject } from "#shared/api/object.ts";
import type { Operation } from "./operations.ts";
import { type Plural, resourceOf } from "./resources.ts";

export const finalizer = "histories.test/hold";

/** What tells a write's contents apart, in the part whose changes generation counts where there is one. */
function wanted(plural: Plural, tag: string, hasNodePort: boolean): object {
  switch (plural) {
    case "configmaps":
      return { data: { tag } };
    case "widgets":
      return { spec: { tag } };
    case "services":
      return { spec: { type: hasNodePort ? "NodePort" : "ClusterIP", ports: [{ port: 80, targetPort: 80 }] } };
    case "pods":
      return { spec: { containers: [{ name: "main", image: `registry.test/${tag}` }] } };
  }
}

export function newObject(operation: Extract<Operation, { verb: "create" }>, tag: string): object {
  const { target, group, isHeld, hasGeneratedName, hasNodePort } = operation;
  const { apiVersion, kind } = resourceOf(target.plural);
  const name = hasGeneratedName ? { generateName: `${target.name}-` } : { name: target.name };
  const metadata = {
    ...name,
    labels: { group },
    annotations: { tag },
    ...(isHeld ? { finalizers: [finalizer] } : {}),
  };
  return { apiVersion, kind, metadata, ...wanted(target.plural, tag, hasNodePort) };
}

/** Fields that a write changes beside its tag; of Pods only the image may change. */
export function changedFields(plural: Plural, tag: string): object {
  switch (plural) {
    case "configmaps":
      return { data: { tag } };
    case "widgets":
      return { spec: { tag } };
    case "services":
      return { spec: { sessionAffinity: Number(tag.split("-")[1]) % 2 ? "ClientIP" : "None" } };
    case "pods":
      return {};
  }
}

interface Fields extends KubeObject {
  readonly spec?: object;
}

/** The whole object again, with a change. */
export function changedObject(seen: KubeObject, plural: Plural, group: string, tag: string): KubeObject {
  const base = seen as Fields;
  const changed = changedFields(plural, tag) as { spec?: object; data?: object };
  return {
    ...base,
    ...(changed.data ? { data: changed.data } : {}),
    ...(changed.spec ? { spec: { ...base.spec, ...changed.spec } } : {}),
    metadata: {
      ...base.metadata,
      labels: { ...base.metadata.labels, group },
      annotations: { ...base.metadata.annotations, tag },
    },
  } as KubeObject;
}

export function mergePatch(plural: Plural, group: string, tag: string, version: string | undefined): object {
  return {
    ...changedFields(plural, tag),
    metadata: {
      labels: { group },
      annotations: { tag },
      ...(version === undefined ? {} : { resourceVersion: version }),
    },
  };
}

export function jsonPatch(group: string, tag: string, version: string | undefined): object[] {
  const test = version === undefined ? [] : [{ op: "replace", path: "/metadata/resourceVersion", value: version }];
  return [
    ...test,
    { op: "add", path: "/metadata/annotations/tag", value: tag },
    { op: "add", path: "/metadata/labels/group", value: group },
  ];
}

/** What a manager of a client's own wants: an annotation that no other manager has, and the tag. */
export function applied(
  plural: Plural,
  name: string,
  manager: string,
  tag: string,
  version: string | undefined,
): object {
  const { apiVersion, kind } = resourceOf(plural);
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      annotations: { tag, [`applied-${manager}`]: tag },
      ...(version === undefined ? {} : { resourceVersion: version }),
    },
    ...(plural === "configmaps" ? { data: { [manager]: tag } } : {}),
    ...(plural === "widgets" ? { spec: { [manager]: tag } } : {}),
  };
}

export const statusBody = (plural: Plural, tag: string): object =>
  plural === "pods" ? { status: { message: tag } } : { status: { tag } };
