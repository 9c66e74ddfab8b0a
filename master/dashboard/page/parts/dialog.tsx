import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { explain } from "../api/request.ts";

export interface DialogProps {
  readonly title: string;
  /** What the button that goes ahead says. */
  readonly action: string;
  readonly danger?: boolean;
  readonly children: ComponentChildren;
  /** A fault keeps the dialog open and is shown in it. */
  act(): Promise<void>;
  close(): void;
}

/** A question in front of the page. Escape and the button beside leave all as it is. */
export function Dialog({ title, action, danger = false, children, act, close }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState("");
  useEffect(() => element.current?.showModal(), []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await act();
      close();
    } catch (error) {
      setFault(explain(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={element} aria-labelledby="dialog-title" onClose={close}>
      <form onSubmit={submit}>
        <h2 id="dialog-title">{title}</h2>
        {children}
        {fault && (
          <p class="fault-line" role="alert">
            {fault}
          </p>
        )}
        <div class="row end">
          <button type="button" onClick={close}>
            Leave it
          </button>
          <button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>
            {busy ? "…" : action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
