import type { FieldError } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { collect, type Field, semanticEqual } from "../validation/field.ts";
import { isConfigMapKey } from "../validation/names.ts";

const keyCount = (map: object | undefined): number => Object.keys(map ?? {}).length;

/** Of a ConfigMap or Secret, keys not counted. */
export const maxData_bytes = 1024 * 1024;

function validate({ data = {}, binaryData = {} }: ConfigMap): FieldError[] {
  return collect((root) => {
    let size_bytes = 0;
    const texts = root.at("data");
    for (const key in data) {
      const problems = isConfigMapKey(key);
      if (problems.length > 0) texts.key(key).invalidEach(key, problems);
      if (Object.hasOwn(binaryData, key)) texts.key(key).invalid(key, "duplicate of key present in binaryData");
      size_bytes += Buffer.byteLength(data[key] ?? "");
    }
    for (const [key, value] of Object.entries(binaryData)) {
      root.at("binaryData").key(key).invalidEach(key, isConfigMapKey(key));
      size_bytes += Buffer.byteLength(value ?? "", "base64");
    }
    // Upstream names no field, which its paths print so.
    if (size_bytes > maxData_bytes) root.at("[]").tooLong(maxData_bytes);
  });
}

interface Sealable {
  readonly immutable?: boolean | undefined;
}

/** Once an object is marked immutable, neither the mark nor the named fields change. */
export function validateImmutable<T extends Sealable>(
  object: T,
  old: Readonly<T>,
  keys: readonly (keyof T & string)[],
): FieldError[] {
  if (!old.immutable) return [];
  return collect((root: Field) => {
    const message = "field is immutable when `immutable` is set";
    if (!object.immutable) root.at("immutable").forbidden(message);
    for (const key of keys) if (!semanticEqual(object[key], old[key])) root.at(key).forbidden(message);
  });
}

export const configMap: ResourceDeclaration<ConfigMap> = {
  ref: configMaps,
  shortNames: ["cm"],
  columns: [nameColumn, column("Data", ({ data, binaryData }) => keyCount(data) + keyCount(binaryData)), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    validate,
    validateUpdate: (object, old) => [...validateImmutable(object, old, ["data", "binaryData"]), ...validate(object)],
  },
};
