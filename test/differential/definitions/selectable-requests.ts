/** Selectable fields and schemas, of which one stands in each version and the other is common to all. */
import type { OrderedRequest } from "../in-order.ts";
import { definition, type Json, judged, object, text } from "./definition.ts";

const fields = (...paths: readonly string[]): Json => ({ selectableFields: paths.map((jsonPath) => ({ jsonPath })) });
const schema = (...names: readonly string[]): Json => ({
  schema: { openAPIV3Schema: object({ spec: object(Object.fromEntries(names.map((name) => [name, text()]))) }) },
});

const versions: readonly (readonly [string, readonly Json[]])[] = [
  ["a version without a schema", [fields(".spec.a")]],
  [
    "fields alike, schemas not",
    [
      { ...schema("a"), ...fields(".spec.a") },
      { ...schema("a", "b"), ...fields(".spec.a") },
    ],
  ],
  [
    "both alike",
    [
      { ...schema("a"), ...fields(".spec.a") },
      { ...schema("a"), ...fields(".spec.a") },
    ],
  ],
  [
    "schemas alike, fields not",
    [
      { ...schema("a", "b"), ...fields(".spec.a") },
      { ...schema("a", "b"), ...fields(".spec.b") },
    ],
  ],
  ["schemas alike, fields of one", [{ ...schema("a"), ...fields(".spec.a") }, schema("a")]],
  [
    "neither alike",
    [
      { ...schema("a"), ...fields(".spec.a") },
      { ...schema("b"), ...fields(".spec.b") },
    ],
  ],
  ["a schema of one", [{ ...schema("a"), ...fields(".spec.a") }, fields(".spec.b")]],
  ["fields alike, a schema of one", [{ ...schema("a"), ...fields(".spec.a") }, fields(".spec.a")]],
];

export const selectableRequests: readonly OrderedRequest[] = versions.map(([what, all]) =>
  judged(
    `selectable, ${what}`,
    definition(
      "choices",
      object({}),
      {},
      {
        versions: all.map((version, index) => ({
          name: `v${index + 1}`,
          served: true,
          storage: index === 0,
          ...version,
        })),
      },
    ),
  ),
);
