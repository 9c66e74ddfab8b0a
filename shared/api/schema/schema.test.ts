import { describe, expect, test } from "bun:test";
import { apiVersionOf } from "../object.ts";
import { builtInKinds } from "./facts.ts";
import { type Schema, schemaFor } from "./schema.ts";

function field(schema: Schema | undefined, ...path: string[]): Schema {
  let found = schema;
  for (const step of path)
    found = step === "[]" ? found?.items : (found?.properties?.get(step) ?? found?.additionalProperties);
  if (!found) throw new Error(`no field ${path.join(".")}`);
  return found;
}

const pod = schemaFor({ group: "", version: "v1", kind: "Pod" });
const service = schemaFor({ group: "", version: "v1", kind: "Service" });
const deployment = schemaFor({ group: "apps", version: "v1", kind: "Deployment" });

describe("facts of built-in kinds", () => {
  test("every kind has a schema, and every model that one reaches is there", () => {
    const seen = new Set<string>();
    const visit = (schema: Schema): void => {
      if (schema.model) {
        if (seen.has(schema.model)) return;
        seen.add(schema.model);
      }
      for (const property of schema.properties?.values() ?? []) visit(property);
      if (schema.items) visit(schema.items);
      if (schema.additionalProperties) visit(schema.additionalProperties);
    };
    const kinds = [...builtInKinds()];
    for (const kind of kinds) {
      const schema = schemaFor(kind);
      expect(schema, `${apiVersionOf(kind)} ${kind.kind}`).toBeDefined();
      if (schema) visit(schema);
    }
    expect(kinds.length).toBeGreaterThan(150);
    expect(seen.size).toBeGreaterThan(550);
  });

  test("a kind that is not built in has none", () => {
    expect(schemaFor({ group: "example.com", version: "v1", kind: "Thing" })).toBeUndefined();
    expect(schemaFor({ group: "apps", version: "v1beta1", kind: "Deployment" })).toBeUndefined();
  });

  test("options are found in every group", () => {
    expect(schemaFor({ group: "apps", version: "v1", kind: "DeleteOptions" })?.properties?.has("preconditions")).toBe(
      true,
    );
  });

  test("keyed lists and how strategic merge treats them", () => {
    const ports = field(service, "spec", "ports");
    expect(ports).toMatchObject({ type: "array", listType: "map", listMapKeys: ["port", "protocol"] });
    expect(ports).toMatchObject({ patchStrategy: ["merge"], patchMergeKey: "port" });
    expect(field(ports, "[]", "protocol").default).toBe("TCP");
    expect(field(ports, "[]").required).toEqual(["port"]);
    expect(field(pod, "spec", "volumes").patchStrategy).toEqual(["merge", "retainKeys"]);
    expect(field(deployment, "spec", "strategy").patchStrategy).toEqual(["retainKeys"]);
  });

  test("fields of inlined structs stand among the others", () => {
    expect(field(pod, "spec", "volumes", "[]", "configMap", "items", "[]").model).toBe("io.k8s.api.core.v1.KeyToPath");
    expect(field(pod, "spec", "containers", "[]", "livenessProbe", "httpGet", "port").intOrString).toBe(true);
  });

  test("scalars, maps and atomicity", () => {
    expect(field(pod, "metadata", "labels", "x")).toMatchObject({ type: "string", goType: "string" });
    expect(field(pod, "metadata", "creationTimestamp")).toMatchObject({ goType: "time", format: "date-time" });
    expect(field(pod, "spec", "containers", "[]", "resources", "limits", "cpu").goType).toBe("quantity");
    expect(field(service, "spec", "selector").mapType).toBe("atomic");
    expect(field(deployment, "spec", "selector").mapType).toBe("atomic");
    expect(field(service, "spec", "type").enum).toContain("NodePort");
  });

  test("when a field is written", () => {
    expect(field(pod, "status").presence).toBe("always");
    expect(field(pod, "metadata", "creationTimestamp").presence).toBe("omitZero");
    expect(field(deployment, "spec", "replicas")).toMatchObject({ presence: "omitEmpty", pointer: true });
  });
});
