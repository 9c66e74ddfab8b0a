/** Lists of every kind by fields: those that it may be selected by, others, and how selectors are written. */
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { type Held, heldKinds } from "./world.ts";

const fields = [
  ...["metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels.app", "metadata.generation"],
  ...["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"],
  ...["status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName", "status.successful"],
  ...["spec.unschedulable", "status.replicas", "type", "reason", "source", "reportingComponent", "involvedObject.kind"],
  ...["involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion"],
  ...[
    "involvedObject.fieldPath",
    "involvedObject.namespace",
    "regarding.kind",
    "regarding.name",
    "reportingController",
  ],
  ...["spec.signerName", "spec.username", "spec.driver", "spec.clusterIP", "spec.type", "spec.parentRef.name"],
  ...["spec.volumeName", "driver", "spec.nodeSelector", "spec.group", "spec.attacher", "nothing", ""],
];

const odd = (name: string): readonly string[] => [
  `metadata.name==${name}`,
  `metadata.name=${name},metadata.name=${name}`,
  `metadata.name=${name},metadata.name=other`,
  `metadata.name=${name},`,
  `,metadata.name=${name}`,
  `metadata.name = ${name}`,
  ` metadata.name=${name} `,
  `metadata.name in (${name})`,
  "metadata.name",
  "!metadata.name",
  "metadata.name=",
  "metadata.name!=",
  `metadata.name=${name}\\,a`,
  `metadata.name=${name}\\=a`,
  `metadata.name=${name}\\`,
  `metadata.name=a=b`,
  `metadata.name!==${name}`,
];

function lists(each: Held): readonly WireRequest[] {
  const name = String((each.object["metadata"] as Json)["name"]);
  const send = (what: string, selector: string): WireRequest => ({
    name: `selected ${each.sample} ${what}`,
    method: "GET",
    path: `${each.collection}?fieldSelector=${encodeURIComponent(selector)}`,
    // Whether each is there is seen in few words.
    headers: { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" },
  });
  return [
    ...fields.map((field) => send(`${field}=`, `${field}=other`)),
    ...(each.kind.namespaced ? fields.map((field) => send(`${field}!=`, `${field}!=${name}`)) : []),
  ];
}

/** Of one kind: the rest is the same whatever the kind. */
function forms(each: Held): readonly WireRequest[] {
  const name = String((each.object["metadata"] as Json)["name"]);
  return odd(name).map((form) => ({
    name: `selected ${each.sample} as ${form}`,
    method: "GET",
    path: `${each.collection}?fieldSelector=${encodeURIComponent(form)}`,
  }));
}

export const selectorGroups: readonly WireGroup[] = [
  { name: "selected by fields", requests: heldKinds.flatMap(lists) },
  {
    name: "selectors of fields",
    requests: heldKinds.filter(({ sample }) => /^(pod|event|node)$/.test(sample)).flatMap(forms),
  },
];
