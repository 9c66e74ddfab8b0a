/** What expressions of MutatingAdmissionPolicies have beside all others (KEP-3962): the objects that they make. */
import { namespaced, type Overload } from "./functions.ts";
import { dyn, objectOf, string, type Type } from "./types.ts";

/** `Object.spec.template`: it has any fields, of any type, and what they are is told by the path. */
class AnyFields extends Map<string, Type> {
  override get(_: string): Type {
    return dyn;
  }
}

export const appliedObject: Type = { kind: "object", name: "Object", fields: new AnyFields() };

/** Upstream knows any other field as well, but no type of it, so that nothing can be put there. */
class OperationFields extends Map<string, Type> {
  static readonly #none = objectOf("", {});

  override get(name: string): Type {
    return super.get(name) ?? OperationFields.#none;
  }
}

const operationFields = new OperationFields(Object.entries({ op: string, path: string, from: string, value: dyn }));

export const jsonPatchOperation: Type = { kind: "object", name: "JSONPatch", fields: operationFields };

/** `Object`, `Object.<path>` and `JSONPatch`. */
export const mutationTypes = {
  get(name: string): Type | undefined {
    if (name === "JSONPatch") return jsonPatchOperation;
    if (name === "Object") return appliedObject;
    return name.startsWith("Object.") ? { kind: "object", name, fields: new AnyFields() } : undefined;
  },
};

export const jsonPatchLibrary: readonly Overload[] = [
  namespaced("jsonpatch.escapeKey", "(string) -> string", (key: string) =>
    key.replaceAll("~", "~0").replaceAll("/", "~1"),
  ),
];
