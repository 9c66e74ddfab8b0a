/** What a person is told: empty states, faults, short notes at the edge. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, explain } from "../api/request.ts";
import { Icon } from "./icons.tsx";

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h3>{title}</h3>
      {children && <p>{children}</p>}
    </div>
  );
}

/** A fault in place of what could not be shown. */
export function Fault({
  error,
  what,
  children,
}: {
  readonly error: unknown;
  readonly what: string;
  readonly children?: ComponentChildren;
}) {
  const isRefused = error instanceof ApiError && error.isForbidden;
  return (
    <div class="fault" role="alert">
      <Icon name="alert" />
      <div>
        <h3>{isRefused ? `You may not see ${what}` : `Cannot show ${what}`}</h3>
        <p>{explain(error)}</p>
        {children}
      </div>
    </div>
  );
}

/** The reasons that the API server gives for refusing an object, field by field. */
export function Causes({ error, children }: { readonly error: unknown; readonly children?: ComponentChildren }) {
  const causes = error instanceof ApiError ? (error.status.details?.causes ?? []) : [];
  return (
    <Refusal title="The API server refuses this">
      {causes.length > 0 ? (
        <ul>
          {causes.map(({ field, message }) => (
            <li key={`${field}${message}`}>
              {field && <code>{field}</code>} {message}
            </li>
          ))}
        </ul>
      ) : (
        <p>{explain(error)}</p>
      )}
      {children}
    </Refusal>
  );
}

export function Refusal({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <div class="fault" role="alert">
      <Icon name="alert" />
      <div>
        <h3>{title}</h3>
        {children}
      </div>
    </div>
  );
}

interface Note {
  readonly id: number;
  readonly text: string;
  readonly tone: "good" | "bad";
}

let notes: readonly Note[] = [];
let lastId = 0;
const listeners = new Set<(notes: readonly Note[]) => void>();
const shownFor_ms = 6_000;

function change(next: readonly Note[]): void {
  notes = next;
  for (const listener of listeners) listener(notes);
}

/** Says something at the edge of the page for a few seconds. */
export function tell(text: string, tone: Note["tone"] = "good"): void {
  lastId += 1;
  const id = lastId;
  change([...notes, { id, text, tone }].slice(-3));
  setTimeout(() => change(notes.filter((note) => note.id !== id)), shownFor_ms);
}

export const tellFault = (error: unknown): void => tell(explain(error), "bad");

export function Notes() {
  const [shown, setShown] = useState(notes);
  useEffect(() => {
    listeners.add(setShown);
    return () => void listeners.delete(setShown);
  }, []);
  return (
    <div class="notes" role="status" aria-live="polite">
      {shown.map(({ id, text, tone }) => (
        <div key={id} class={`note ${tone}`}>
          {text}
        </div>
      ))}
    </div>
  );
}
