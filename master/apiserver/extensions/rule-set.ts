/** The CEL rules (x-kubernetes-validations) of a schema. */
import type { FieldError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { Field } from "../resources/validation/field.ts";

export class RuleSet {
  /** undefined: no rule anywhere in the schema. */
  static of(_schema: JSONSchemaProps): RuleSet | undefined {
    return undefined;
  }

  static checkRules(_schema: JSONSchemaProps, _field: Field): void {}

  check(_object: KubeObject, _old: KubeObject | undefined): FieldError[] {
    return [];
  }

  checkValue(_value: unknown, _path: string): FieldError[] {
    return [];
  }
}
