import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { typeOfSchema } from "#shared/cel/schema-type.ts";
import type { Type } from "#shared/cel/types.ts";
import { type CompiledRule, compileRule, rulesOf } from "./compiled-rule.ts";
import { itemsOf } from "./structural-schema.ts";

/** One node of a schema that has rules, or has such below. */
export class RuleNode {
  private constructor(
    readonly schema: JSONSchemaProps,
    readonly type: Type | undefined,
    readonly rules: readonly CompiledRule[],
    readonly properties: ReadonlyMap<string, RuleNode>,
    readonly additional: RuleNode | undefined,
    readonly items: RuleNode | undefined,
  ) {}

  static of(schema: JSONSchemaProps, path: string, isResource: boolean): RuleNode | undefined {
    const properties = new Map<string, RuleNode>();
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const node = RuleNode.of(property, `${path}.${name}`, false);
      if (node) properties.set(name, node);
    }
    const { additionalProperties } = schema;
    const additional =
      typeof additionalProperties === "object" ? RuleNode.of(additionalProperties, `${path}.@prop`, false) : undefined;
    const ofItem = itemsOf(schema);
    const items = ofItem && RuleNode.of(ofItem, `${path}.@idx`, false);
    const written = rulesOf(schema);
    if (written.length === 0 && properties.size === 0 && !additional && !items) return undefined;
    const type = written.length > 0 ? typeOfSchema(schema, path, isResource) : undefined;
    // What does not compile was refused when it was written; it judges nothing.
    const rules = type
      ? written.map((each) => compileRule(each, type, schema)).filter((each): each is CompiledRule => "program" in each)
      : [];
    return new RuleNode(schema, type, rules, properties, additional, items);
  }
}
