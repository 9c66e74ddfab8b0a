import { equalJson, isJsonObject } from "#shared/api/patch/json-value.ts";
import { normalizeObject } from "#shared/api/schema/normalize-object.ts";
import type {
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
} from "#shared/api/types/apiextensions-v1.generated.ts";
import { itemsOf, structural, withOpenMetadata } from "../../extensions/structural-schema.ts";
import { collect, type Field } from "../validation/field.ts";
import { visit } from "./schema-walk.ts";
import { checkMapKeys, checkSetItems } from "./topology-rules.ts";

/** What was so before an update is borne with. */
export interface SchemaLeniency {
  readonly unprunedDefaults: boolean;
  readonly looseSets: boolean;
  readonly looseMapKeys: boolean;
  /** Names of versions whose schema stays what it was. */
  readonly unchanged: ReadonlySet<string>;
}

export const strict: SchemaLeniency = {
  unprunedDefaults: false,
  looseSets: false,
  looseMapKeys: false,
  unchanged: new Set(),
};

/** What a definition already has wrong. */
export function leniencyOf(before: CustomResourceDefinitionSpec, now: CustomResourceDefinitionSpec): SchemaLeniency {
  const schemas = (before.versions ?? []).flatMap(({ schema }) => schema?.openAPIV3Schema ?? []);
  let [unprunedDefaults, looseSets, looseMapKeys] = [false, false, false];
  for (const root of schemas) {
    visit(root, (schema) => {
      const items = itemsOf(schema);
      if (isJsonObject(schema.default)) {
        const form = withOpenMetadata(structural(schema));
        unprunedDefaults ||= !equalJson(normalizeObject(form, schema.default).object, schema.default);
      }
      if (items && schema["x-kubernetes-list-type"] === "set")
        looseSets ||= findsSomething((at) => checkSetItems(items, at));
      looseMapKeys ||= findsSomething((at) => checkMapKeys(schema, items, at));
    });
  }
  const isUnchanged = ({ name, schema }: CustomResourceDefinitionVersion): boolean =>
    (before.versions ?? []).some((old) => old.name === name && equalJson(old.schema, schema));
  const unchanged = new Set((now.versions ?? []).filter(isUnchanged).map(({ name }) => name));
  return { unprunedDefaults, looseSets, looseMapKeys, unchanged };
}

const findsSomething = (check: (field: Field) => void): boolean => collect(check).length > 0;
