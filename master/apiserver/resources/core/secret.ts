import type { FieldError } from "#shared/api/errors.ts";
import { secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { collect, type Field, immutable } from "../validation/field.ts";
import { isConfigMapKey } from "../validation/names.ts";
import { maxData_bytes, validateImmutable } from "./config-map.ts";

/** Keys that a type of Secret must have. */
const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};
const accountAnnotation = "kubernetes.io/service-account.name";

function validate({ data = {}, type = "", metadata }: Secret): FieldError[] {
  return collect((root) => {
    const field = root.at("data");
    let size_bytes = 0;
    for (const [key, value] of Object.entries(data)) {
      field.key(key).invalidEach(key, isConfigMapKey(key));
      size_bytes += Buffer.byteLength(value ?? "", "base64");
    }
    if (size_bytes > maxData_bytes) field.tooLong(maxData_bytes);
    for (const key of requiredKeys[type] ?? []) if (!Object.hasOwn(data, key)) field.key(key).required();
    if (type === "kubernetes.io/service-account-token" && !metadata.annotations?.[accountAnnotation]) {
      root.at("metadata", "annotations").key(accountAnnotation).required();
    } else if (type === "kubernetes.io/basic-auth" && !("username" in data) && !("password" in data)) {
      field.key("username").required();
      field.key("password").required();
    } else if (type === "kubernetes.io/ssh-auth" && !data["ssh-privatekey"]) field.key("ssh-privatekey").required();
    else if (type.startsWith("kubernetes.io/dockerc")) validateRegistryKeys(data, requiredKeys[type] ?? [], field);
  });
}

function validateRegistryKeys(data: Record<string, string>, keys: readonly string[], field: Field): void {
  for (const key of keys) {
    if (!Object.hasOwn(data, key)) continue;
    const complaint = jsonObjectComplaint(Buffer.from(data[key] ?? "", "base64").toString());
    if (complaint !== undefined) field.key(key).invalid("<secret contents redacted>", complaint);
  }
}

/** Why a text is no JSON object, as Go's decoder puts it. */
function jsonObjectComplaint(text: string): string | undefined {
  if (text.trim() === "") return "unexpected end of JSON input";
  try {
    const value: unknown = JSON.parse(text);
    if (value === null || (typeof value === "object" && !Array.isArray(value))) return undefined;
    const type = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
    return `json: cannot unmarshal ${type} into Go value of type map[string]interface {}`;
  } catch {
    const character = text.trim()[0] ?? "";
    return `invalid character '${character}' looking for beginning of value`;
  }
}

export const secret: ResourceDeclaration<Secret> = {
  ref: secrets,
  columns: [
    nameColumn,
    column("Type", ({ type }) => type),
    column("Data", ({ data }) => Object.keys(data ?? {}).length),
    ageColumn,
  ],
  selectableFields: { type: ({ type }) => type ?? "" },
  strategy: {
    judgesNameOnUpdate: true,
    applyDefaults(draft) {
      draft.type ||= "Opaque";
      const { stringData } = draft;
      if (stringData === undefined) return;
      const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
      draft.data = { ...draft.data, ...Object.fromEntries(encoded) };
      delete draft.stringData;
    },
    validate,
    validateUpdate: (object, old) => [
      ...collect((root) => immutable(object.type, old.type, root.at("type"))),
      ...validateImmutable(object, old, ["data"]),
      ...validate(object),
    ],
  },
};
