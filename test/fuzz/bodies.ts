/** Objects of every kind, and what may come in their place as the body of a request. */
import { apiVersionOf } from "#shared/api/object.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { type Json, mutateBytes, mutateValue, textOf } from "./mutations.ts";
import type { Random } from "./random.ts";

/** An object as upstream writes it, and where it would be created. */
export interface Sample {
  readonly kind: string;
  readonly collection: (namespace: string) => string;
  readonly value: Record<string, Json>;
  readonly protobuf: Buffer | undefined;
}

export interface Body {
  readonly contentType: string;
  readonly bytes: Buffer;
}

const fixture = new URL("../fixtures/schema/objects.json.gz", import.meta.url).pathname;

interface ObjectVector {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly protobuf: string;
  readonly json: Record<string, Json>;
}

/** Objects that are valid as they are, so that mutations reach what lies behind validation. */
const plainSamples: readonly { path: string; value: Record<string, Json> }[] = [
  { path: "api/v1 configmaps", value: { kind: "ConfigMap", data: { a: "1", b: "2" }, binaryData: { c: "AAEC" } } },
  { path: "api/v1 secrets", value: { kind: "Secret", type: "Opaque", stringData: { a: "b" } } },
  {
    path: "api/v1 services",
    value: { kind: "Service", spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: "web" }] } },
  },
  {
    path: "api/v1 pods",
    value: {
      kind: "Pod",
      spec: {
        containers: [{ name: "web", image: "web", env: [{ name: "A", value: "b" }], ports: [{ containerPort: 80 }] }],
      },
    },
  },
  {
    path: "apis/apps/v1 deployments",
    value: {
      kind: "Deployment",
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: { containers: [{ name: "web", image: "web", resources: { limits: { cpu: "100m", memory: "1Gi" } } }] },
        },
      },
    },
  },
  {
    path: "apis/fuzz.test/v1 gadgets",
    value: { kind: "Gadget", spec: { size: 3, tags: ["a", "aa"], parts: [{ name: "x", weight: "1" }], any: { a: 1 } } },
  },
];

/** The CustomResourceDefinition of the gadgets among the samples. */
export const gadgetDefinition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.fuzz.test" },
  spec: {
    group: "fuzz.test",
    scope: "Namespaced",
    names: { plural: "gadgets", singular: "gadget", kind: "Gadget", listKind: "GadgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: ".spec.size", statusReplicasPath: ".status.size" } },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                "x-kubernetes-validations": [{ rule: "!has(self.size) || self.size < 100" }],
                properties: {
                  size: { type: "integer", default: 1 },
                  tags: {
                    type: "array",
                    "x-kubernetes-list-type": "set",
                    items: { type: "string", pattern: "^(a+)+$" },
                  },
                  parts: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    items: {
                      type: "object",
                      required: ["name"],
                      properties: { name: { type: "string" }, weight: { "x-kubernetes-int-or-string": true } },
                    },
                  },
                  any: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                },
              },
              status: { type: "object", properties: { size: { type: "integer" } } },
            },
          },
        },
      },
    ],
  },
};

export async function loadSamples(): Promise<readonly Sample[]> {
  const text = new TextDecoder().decode(Bun.gunzipSync(await Bun.file(fixture).bytes()));
  const vectors = (JSON.parse(text) as ObjectVector[]).flatMap((vector) => {
    const declaration = builtinDeclarations.find(
      ({ ref }) => ref.group === vector.group && ref.version === vector.version && ref.kind === vector.kind,
    );
    if (!declaration) return [];
    const { plural, namespaced } = declaration.ref;
    const root = vector.group === "" ? `/api/${vector.version}` : `/apis/${vector.group}/${vector.version}`;
    return {
      kind: vector.kind,
      collection: (namespace: string) =>
        namespaced ? `${root}/namespaces/${namespace}/${plural}` : `${root}/${plural}`,
      value: { ...vector.json, apiVersion: apiVersionOf(vector), kind: vector.kind },
      protobuf: Buffer.from(vector.protobuf, "base64"),
    };
  });
  return vectors;
}

export const validSamples: readonly Sample[] = plainSamples.map(({ path, value }) => {
  const [root = "", plural = ""] = path.split(" ");
  return {
    kind: String(value["kind"]),
    collection: (namespace) => `/${root}/namespaces/${namespace}/${plural}`,
    value: { ...value, apiVersion: root.replace(/^apis?\//, "") },
    protobuf: undefined,
  };
});

const contentTypes = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  "application/cbor",
  "text/plain",
  "application/json; charset=utf-16",
  "application/json;;;q=\u00e9",
  "",
  "application/apply-patch+cbor",
];

/** What an API server takes of a body. */
const LIMIT_BYTES = 3 * 1024 * 1024;

/** Around a filling that is repeated: how the body begins, the filling, how it ends. */
const largeForms: readonly (readonly [contentType: string, begin: string, filling: string, end: string])[] = [
  ["application/json", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"large"},"data":{"a":"', "x", '"}}'],
  ["application/json", "{}", " ", ""],
  ["application/json", "", "[", ""],
  ["application/json", "[", "0,", "0]"],
  ["application/yaml", 'kind: ConfigMap\nmetadata: {name: large}\ndata: {a: "', "x", '"}\n'],
  ["application/vnd.kubernetes.protobuf", "k8s\0", "\0", ""],
  ["application/cbor", "", "x", ""],
];

/** A plain body around the limit, which costs nothing to make. */
function largeBody(random: Random): Body {
  const [contentType, begin, filling, end] = random.pick(largeForms);
  const length = LIMIT_BYTES + random.pick([-1, 0, 1, 1_000_000]);
  const bytes = Buffer.alloc(length, filling);
  bytes.write(begin, 0, "latin1");
  bytes.write(end, length - end.length, "latin1");
  return { contentType, bytes };
}

/** The object itself, mutated in structure, in bytes, or told to be of another form than it is; a large body now and then. */
export function bodyOf(sample: Sample, random: Random): Body {
  if (random.once(100)) return largeBody(random);
  const named: Json = { ...sample.value, metadata: { name: random.word(6), labels: { app: "web" } } };
  const value = random.once(5) ? named : mutateValue(named, random);
  const contentType = random.once(8) ? random.pick(contentTypes) : undefined;
  switch (random.below(8)) {
    case 0:
      return { contentType: contentType ?? "application/yaml", bytes: mutateBytes(yamlOf(value, random), random) };
    case 1:
      return { contentType: contentType ?? "application/yaml", bytes: Buffer.from(textOf(value)) };
    case 2:
    case 3:
      if (sample.protobuf) {
        const bytes = random.once(4) ? sample.protobuf : mutateBytes(sample.protobuf, random);
        return { contentType: contentType ?? "application/vnd.kubernetes.protobuf", bytes };
      }
      return { contentType: contentType ?? "application/vnd.kubernetes.protobuf", bytes: envelope(random) };
    case 4:
      return { contentType: contentType ?? "application/json", bytes: mutateBytes(Buffer.from(textOf(value)), random) };
    case 5:
      return {
        contentType: contentType ?? "application/cbor",
        bytes: Buffer.concat([Buffer.from("d9d9f7a1", "hex"), random.bytes(40)]),
      };
    default:
      return { contentType: contentType ?? "application/json", bytes: Buffer.from(textOf(value)) };
  }
}

/** Patches of all four types, with odd paths and directives. */
export function patchOf(sample: Sample, random: Random): Body {
  const pointer = (): string =>
    random.pick([
      "/metadata/labels/app",
      "/spec",
      "/spec/-",
      "/data/~1~0",
      "/metadata/name",
      "",
      "//",
      "/spec/tags/99999999999",
      "/~2",
    ]);
  const operation = (): Json => ({
    op: random.pick(["add", "remove", "replace", "move", "copy", "test", "none"]),
    path: pointer(),
    from: pointer(),
    value: random.once(2) ? { a: [1] } : null,
  });
  switch (random.below(4)) {
    case 0: {
      const length = random.pick([1, 1, 1, 3, 3, 3, 20, 20, 10_001]);
      const operations: Json = Array.from({ length }, operation);
      return {
        contentType: "application/json-patch+json",
        bytes: Buffer.from(textOf(random.once(3) ? mutateValue(operations, random) : operations)),
      };
    }
    case 1:
      return {
        contentType: "application/merge-patch+json",
        bytes: Buffer.from(textOf(mutateValue(sample.value, random))),
      };
    case 2: {
      const directive = random.pick<Json>([
        { $patch: "delete" },
        { $patch: "replace", spec: null },
        { $patch: "nothing" },
        { metadata: { "$setElementOrder/finalizers": ["a", "b"], "$deleteFromPrimitiveList/finalizers": [1, null] } },
        { spec: { $retainKeys: ["a", 1], "$setElementOrder/containers": [{}, null] } },
      ]);
      const patch: Json = { ...sample.value, ...(directive as Record<string, Json>) };
      return {
        contentType: "application/strategic-merge-patch+json",
        bytes: Buffer.from(textOf(random.once(2) ? mutateValue(patch, random) : patch)),
      };
    }
    default:
      return { contentType: "application/apply-patch+yaml", bytes: bodyOf(sample, random).bytes };
  }
}

/** Few anchors and aliases, tags and merge keys, which YAML has beyond JSON. */
function yamlOf(value: Json, random: Random): Buffer {
  const text = textOf(value);
  const further = random.pick([
    "",
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n",
    "<<: {kind: Pod}\n",
    "x: !!binary AAEC\n",
    "x: !!js/function 'function () {}'\n",
    "&a a: *a\n",
    "%YAML 9.9\n---\n",
    "? [1, 2]\n: {}\n",
    "x: .inf\ny: .nan\nz: 0o17\n",
    "---\n---\n",
    `${" ".repeat(3000)}x: 1\n`,
  ]);
  return Buffer.from(random.once(2) ? `${further}value: ${text}\n` : `${further}${text}`);
}

/** The envelope of protobuf bodies around rubbish. */
function envelope(random: Random): Buffer {
  const inner = random.bytes(random.between(0, 60));
  const typeMeta = Buffer.from("0a0f0a0276311209436f6e6669674d6170", "hex");
  const head = random.once(2) ? typeMeta : random.bytes(10);
  return Buffer.concat([
    Buffer.from("k8s\0"),
    head,
    Buffer.from([0x12, inner.length + random.pick([0, 0, 1, 100])]),
    inner,
  ]);
}
