import { useState } from "preact/hooks";
import { findResource, listPath, objectPath } from "../api/objects.ts";
import { request } from "../api/request.ts";
import { useTitle } from "../parts/hooks.ts";
import { useFilter } from "../parts/namespace.tsx";
import { Causes, tell } from "../parts/notes.tsx";
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
  const [error, setError] = useState<unknown>();
  const [said, setSaid] = useState("");
  const create = async (dryRun: boolean): Promise<void> => {
    setError(undefined);
    setSaid("");
    try {
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
    } catch (fault) {
      setError(fault);
    }
  };
  return (
    <>
      <header class="page-head">
        <h1>Create from YAML</h1>
      </header>
      <div class="yaml pad">
        <label class="yaml-field">
          <span class="hidden">YAML of one object</span>
          <textarea
            spellcheck={false}
            autocapitalize="none"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {error !== undefined && <Causes error={error} />}
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
