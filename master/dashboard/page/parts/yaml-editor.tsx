import { useEffect, useState } from "preact/hooks";
import { explain, request } from "../api/request.ts";
import { tell, tellFault } from "./notes.tsx";
import { useYamlFault, YamlField } from "./yaml-field.tsx";

const yamlType = "application/yaml";

/** An object as YAML, checked and written by the API server. */
export function YamlEditor({ path, readOnly }: { readonly path: string; readonly readOnly: boolean }) {
  const [text, setText] = useState("");
  const [original, setOriginal] = useState("");
  const { fault, forget, checked } = useYamlFault();
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const load = async (): Promise<void> => {
    const yaml = withoutManagedFields(await (await request(path, { accept: yamlType })).text());
    setText(yaml);
    setOriginal(yaml);
    forget();
    setSaid("");
  };
  useEffect(() => void load().catch(tellFault), [path]);
  const write = async (dryRun: boolean): Promise<void> => {
    setBusy(true);
    setSaid("");
    await checked(text, async () => {
      const query = new URLSearchParams({
        fieldValidation: "Strict",
        fieldManager: "bramble-dashboard",
        ...(dryRun ? { dryRun: "All" } : {}),
      });
      await request(`${path}?${query}`, { method: "PUT", contentType: yamlType, body: text });
      if (dryRun) setSaid("The API server would take this. Nothing was changed.");
      else {
        tell("Saved.");
        await load();
      }
    });
    setBusy(false);
  };
  const changed = text !== original;
  return (
    <div class="yaml">
      <YamlField label="YAML of the object" value={text} readOnly={readOnly} fault={fault} change={setText} />
      <div class="row wrap" role="status">
        {!readOnly && (
          <>
            <button type="button" class="primary" disabled={busy || !changed} onClick={() => void write(false)}>
              Save
            </button>
            <button type="button" disabled={busy || !changed} onClick={() => void write(true)}>
              Check only
            </button>
          </>
        )}
        <button
          type="button"
          disabled={busy}
          onClick={() => void load().catch((fault: unknown) => setSaid(explain(fault)))}
        >
          {changed ? "Drop my changes" : "Reload"}
        </button>
        <span class="faint">{said || (changed ? "Not saved yet." : "")}</span>
      </div>
    </div>
  );
}

/** Who owns which field is long and for machines; the API server keeps it when it is left out. */
export function withoutManagedFields(yaml: string): string {
  const kept: string[] = [];
  let skipping = false;
  for (const line of yaml.split("\n")) {
    if (/^ {2}managedFields:/.test(line)) skipping = true;
    else if (skipping && !/^ {2}(?: |- )/.test(line)) skipping = false;
    if (!skipping) kept.push(line);
  }
  return kept.join("\n");
}
