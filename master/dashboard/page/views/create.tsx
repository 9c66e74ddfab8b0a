import { useState } from "preact/hooks";
import { findResource, listPath, objectPath } from "../api/objects.ts";
import { request } from "../api/request.ts";
import { useTitle } from "../parts/hooks.ts";
import { useFilter } from "../parts/namespace.tsx";
import { tell } from "../parts/notes.tsx";
import { useYamlFault, YamlField } from "../parts/yaml-field.tsx";
import { go, objectLink } from "../route.ts";

const example = `apiVersion: v1
kind: ConfigMap
metadata:
  name: greeting
data:
  hello: world
`;

/** A new object from YAML. */
export function Create() {
  useTitle("Create");
  const { namespace } = useFilter();
  const [text, setText] = useState(example);
  const { fault, checked } = useYamlFault();
  const [said, setSaid] = useState("");
  const create = async (dryRun: boolean): Promise<void> => {
    setSaid("");
    await checked(text, async () => {
      const top = (key: string): string => new RegExp(`^${key}:\\s*["']?([^\\s"']+)`, "m").exec(text)?.[1] ?? "";
      const resource = await findResource(top("apiVersion"), top("kind"));
      const named = /^ {2}namespace:\s*["']?([^\s"']+)/m.exec(text)?.[1];
      const place = resource.namespaced ? named || namespace || "default" : undefined;
      const query = new URLSearchParams({
        fieldValidation: "Strict",
        fieldManager: "bramble-dashboard",
        ...(dryRun ? { dryRun: "All" } : {}),
      });
      const answer = await request(`${listPath(resource, place)}?${query}`, {
        method: "POST",
        contentType: "application/yaml",
        body: text,
      });
      const { metadata } = (await answer.json()) as { metadata: { name: string; namespace?: string } };
      if (dryRun) setSaid(`The API server would take this: ${objectPath(resource, metadata)}`);
      else {
        tell(`${resource.kind} ${metadata.name} is created.`);
        go(objectLink(resource, metadata));
      }
    });
  };
  return (
    <>
      <header class="page-head">
        <h1>Create from YAML</h1>
      </header>
      <div class="yaml pad">
        <YamlField label="YAML of one object" value={text} fault={fault} change={setText} />
        <div class="row wrap" role="status">
          <button type="button" class="primary" onClick={() => void create(false)}>
            Create
          </button>
          <button type="button" onClick={() => void create(true)}>
            Check only
          </button>
          <span class="faint">{said}</span>
        </div>
      </div>
    </>
  );
}
