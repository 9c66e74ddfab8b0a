import { useRef, useState } from "preact/hooks";
import { ApiError } from "../api/request.ts";
import { Causes, Refusal } from "./notes.tsx";

/** A text that is no YAML: the API server need not be asked. */
export class YamlError extends Error {
  constructor(
    readonly line: number,
    message: string,
  ) {
    super(message);
  }
}

interface Fault {
  readonly error: unknown;
  /** Lines that it speaks of, from 1. */
  readonly lines: readonly number[];
}

/** What is wrong with a text, as `checked` finds it. */
export function useYamlFault(): {
  readonly fault: Fault | undefined;
  forget(): void;
  /** Runs `send` if the text is YAML. If anything goes wrong, `fault` says what, and where. */
  checked(text: string, send: () => Promise<void>): Promise<void>;
} {
  const [fault, setFault] = useState<Fault>();
  const checked = async (text: string, send: () => Promise<void>): Promise<void> => {
    setFault(undefined);
    // Large, and only needed by who writes.
    const { faultOf, fieldsNamed, lineOf } = await import("./yaml-places.ts");
    const broken = faultOf(text);
    if (broken) {
      setFault({ error: new YamlError(broken.line, broken.message), lines: [broken.line] });
      return;
    }
    try {
      await send();
    } catch (error) {
      const causes = error instanceof ApiError ? (error.status.details?.causes ?? []) : [];
      const fields = [...causes.flatMap(({ field }) => field ?? []), ...fieldsNamed((error as Error).message)];
      const lines = fields.flatMap((field) => lineOf(text, field) ?? []);
      setFault({ error, lines: [...new Set(lines)].sort((a, b) => a - b) });
    }
  };
  return { fault, forget: () => setFault(undefined), checked };
}

interface YamlFieldProps {
  readonly label: string;
  readonly value: string;
  readonly readOnly?: boolean;
  readonly fault: Fault | undefined;
  change(text: string): void;
}

/** A text with numbered lines; a fault is marked at its line, and a button goes there. */
export function YamlField({ label, value, readOnly = false, fault, change }: YamlFieldProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const numbers = useRef<HTMLPreElement>(null);
  const count = value.split("\n").length;
  const goTo = (line: number): void => {
    const element = field.current;
    if (!element) return;
    const before = value.split("\n").slice(0, line - 1);
    const start = before.reduce((sum, each) => sum + each.length + 1, 0);
    element.focus();
    element.setSelectionRange(start, start + (value.split("\n")[line - 1]?.length ?? 0));
    const lineHeight = element.scrollHeight / Math.max(count, 1);
    element.scrollTop = Math.max(0, (line - 4) * lineHeight);
  };
  return (
    <>
      <div class="yaml-field">
        <pre class="yaml-lines" ref={numbers} aria-hidden="true">
          {Array.from({ length: count }, (_, index) => (
            <span key={index} class={fault?.lines.includes(index + 1) ? "at-fault" : ""}>{`${index + 1}\n`}</span>
          ))}
        </pre>
        <textarea
          ref={field}
          aria-label={label}
          aria-invalid={fault !== undefined}
          spellcheck={false}
          autocapitalize="none"
          wrap="off"
          readOnly={readOnly}
          value={value}
          onInput={(event) => change(event.currentTarget.value)}
          onScroll={(event) => {
            if (numbers.current) numbers.current.scrollTop = event.currentTarget.scrollTop;
          }}
        />
      </div>
      {fault &&
        (fault.error instanceof YamlError ? (
          <Refusal title="This is no YAML">
            <p>{fault.error.message}</p>
            <LineLinks lines={fault.lines} goTo={goTo} />
          </Refusal>
        ) : (
          <Causes error={fault.error}>
            <LineLinks lines={fault.lines} goTo={goTo} />
          </Causes>
        ))}
    </>
  );
}

function LineLinks({ lines, goTo }: { readonly lines: readonly number[]; goTo(line: number): void }) {
  return (
    <p class="row wrap">
      {lines.map((line) => (
        <button key={line} type="button" class="link" onClick={() => goTo(line)}>
          Go to line {line}
        </button>
      ))}
    </p>
  );
}
