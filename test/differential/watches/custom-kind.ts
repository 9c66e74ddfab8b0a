/** A custom kind in two versions, selected by a field. */
import type { Json } from "../wire/request.ts";
import type { AnyStep } from "./scenario.ts";
import { write } from "./steps.ts";

export const customKind = "v1";
export const otherVersion = "v1beta1";

const schema: Json = {
  openAPIV3Schema: {
    type: "object",
    properties: {
      spec: { type: "object", properties: { colour: { type: "string" }, size: { type: "integer" } } },
    },
  },
};

const definition: Json = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "things.watched.example.com" },
  spec: {
    group: "watched.example.com",
    scope: "Namespaced",
    names: { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" },
    versions: [customKind, otherVersion].map((name) => ({
      name,
      served: true,
      storage: name === customKind,
      schema,
      selectableFields: [{ jsonPath: ".spec.colour" }],
      additionalPrinterColumns: [
        { name: "Colour", type: "string", jsonPath: ".spec.colour" },
        { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
      ],
    })),
  },
};

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

export const definitionSteps: readonly AnyStep[] = [
  write("things are defined", "POST", definitions, definition),
  ...[customKind, otherVersion].map((version) => ({
    ...write(`things of ${version} are served`, "GET", `/apis/watched.example.com/${version}/things`),
    until: 200,
  })),
];
