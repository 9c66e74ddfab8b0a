import { equalJson, isJsonObject } from "#shared/api/patch/json-value.ts";
import { normalizeObject } from "#shared/api/schema/normalize-object.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { checkEmbedded } from "../../extensions/object-rules.ts";
import { RuleSet } from "../../extensions/rule-set.ts";
import { itemsOf, structural, withOpenMetadata } from "../../extensions/structural-schema.ts";
import { validateValue } from "../../extensions/value-validator.ts";
import type { Field } from "../validation/field.ts";
import type { SchemaLeniency } from "./schema-leniency.ts";
import { metaFields } from "./schema-walk.ts";

/** Defaults must be values that the schema itself allows, with nothing in them that would be pruned. */
export function checkDefaults(
  schema: JSONSchemaProps,
  insideMeta: boolean,
  leniency: SchemaLeniency,
  field: Field,
): void {
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  const inMeta = insideMeta && !isEmbedded;
  if (schema.default !== undefined) {
    const at = field.at("default");
    const form = structural(schema);
    if (!inMeta && !leniency.unprunedDefaults && isJsonObject(schema.default)) {
      const pruned = normalizeObject(withOpenMetadata(form), schema.default);
      if (!equalJson(pruned.object, schema.default)) at.invalid(schema.default, "must not have unknown fields");
    }
    checkEmbedded(schema.default, form, at);
    const errors = validateValue(schema, schema.default);
    at.addAll(
      errors.map((error) => ({ ...error, field: error.field === "<nil>" ? at.path : `${at.path}.${error.field}` })),
    );
    if (errors.length === 0) at.addAll(RuleSet.of(schema)?.checkValue(schema.default, at.path) ?? []);
  }
  const items = itemsOf(schema);
  if (items) checkDefaults(items, inMeta, leniency, field.at("items"));
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const isMeta = isEmbedded && metaFields.includes(name);
    checkDefaults(property, inMeta || isMeta, leniency, field.at("properties").key(name));
  }
}
