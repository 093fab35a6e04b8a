"""Languages whose interpreter is given the source file."""

from xftbench.execution.native.language import Language, Proof, Rule, Signs, Step, Tool, Variant

_MEDDLING = (
    r"\b(?:exit!?|_exit|abort|quit|kill|signal|trap|eval|system|exec\w*|fork|spawn\w*|f?open|read\w*|File)\b"
    r"|__\w"
)
_NODE = Tool(name="node", debian=("nodejs",))
_JS_SIGNS = Signs(
    memory=r"JavaScript heap out of memory|Array buffer allocation failed",
    # One with a frame of the program was thrown as it ran: by JSON.parse, eval, RegExp.
    syntax=r"\A\S*program\.js:\d+\n(?:.*\n){2,3}(?![\s\S]*^ +at .*program\.js:\d)(SyntaxError: .*)",
    assertion=r"ERR_ASSERTION",
)
_JS_PROOF = Proof(
    line=";assert.deepEqual([@A@], [@B@]);((b, a) => require('node:fs').writeSync(1, '\\n' + a + b + '\\n'))"
    "('@2@', '@1@');",
    needs=r"assert = require\('node:assert'\)",
    check=(r"assert\.deepEqual\(candidate\(", ");"),
    wary=_MEDDLING
    + r"|assert|require|import|process|global|prototype|defineProperty|Proxy|Reflect|constructor|"
    r"Function(?! [a-z])|valueOf|toPrimitive|(?<![.\w])test\b|module|arguments",
)

JAVASCRIPT = Language(
    name="js",
    title="JavaScript",
    file_name="program.js",
    variants=(Variant(tools=(_NODE,), steps=(Step(argv=("{node}", "program.js"), cpu_s=5),)),),
    signs=_JS_SIGNS,
    proof=_JS_PROOF,
    runtime_memory=True,
)

TYPESCRIPT = Language(
    name="ts",
    title="TypeScript",
    file_name="program.ts",
    variants=(
        Variant(
            tools=(
                Tool(
                    name="tsc",
                    shown="typescript",
                    files=(
                        "$XFTBENCH_TYPESCRIPT/bin/tsc",
                        "{cache}/node_modules/typescript/bin/tsc",
                        "/usr/lib/node_modules/typescript/bin/tsc",
                        "/usr/local/lib/node_modules/typescript/bin/tsc",
                        "/usr/share/nodejs/typescript/bin/tsc",
                    ),
                    npm="typescript@5.9.3",
                ),
                _NODE,
            ),
            steps=(
                Step(argv=("{node}", "{tsc}", "--target", "esnext", "program.ts"), compiles=True),
                Step(argv=("{node}", "program.js")),
            ),
        ),
    ),
    signs=_JS_SIGNS,
    proof=_JS_PROOF,
    runtime_memory=True,
)

PHP = Language(
    name="php",
    title="PHP",
    file_name="program.php",
    variants=(
        Variant(
            tools=(Tool(name="php", debian=("php-cli",)),),
            steps=(Step(argv=("{php}", "program.php")),),
        ),
    ),
    signs=Signs(
        memory=r"Allowed memory size of|^(?:PHP Fatal error:  )?Out of memory",
        # A fatal error that is no exception comes of compiling, save those of limits, and of a function that
        # declares another one each time it is called.
        syntax=r"^(?:PHP )?(?:Parse|Fatal) error: +(?! |Uncaught|Maximum|"
        r"Cannot redeclare \S+ \(previously declared in \S*:(\d+)\) in \S* on line \1$).*"
        r" in \S*program\.php on line",
        assertion=r"Exception: Test failed!",
    ),
    proof=Proof(
        line='if ([@A@] !== [@B@]) { throw new Exception("Test failed!"); } '
        "(function ($b, $a) { fwrite(STDOUT, \"\\n\" . $a . $b . \"\\n\"); })('@2@', '@1@');",
        before=r"(?:\?>\s*)?\Z",
        check=(r"if \(candidate\(", ") { throw"),
        wary=_MEDDLING + r"|die|handler|register|shutdown|Exception|candidate|declare|debug_|\bfile\w*\s*\("
        r"|Spl[A-Z]|ob_|namespace|\?>",
    ),
)

RUBY = Language(
    name="rb",
    title="Ruby",
    file_name="program.rb",
    variants=(
        Variant(
            tools=(Tool(name="ruby", debian=("ruby", "ruby-test-unit")),),
            steps=(Step(argv=("{ruby}", "program.rb"), cpu_s=5),),
        ),
    ),
    signs=Signs(
        memory=r"NoMemoryError|failed to allocate memory",
        syntax=r"^\S*program\.rb:\d+: (?!warning: )",
        crash=r"^Error: test.*\n.*",
        assertion=r"^Failure:|[1-9]\d{0,8} failures",
    ),
    proof=Proof(
        comment="# xftbench",
        line='\n    assert_equal([@A@], [@B@]); ->(b, a) { STDOUT.syswrite("\\n" + a + b + "\\n") }'
        ".call('@2@', '@1@')",
        before=r"\n\s*end\s*\nend\s*\Z",
        check=(r"assert_equal\(.*, candidate\.call\(", ")"),
        wary=_MEDDLING
        + r"|assert|Test(?! )|class|module|define_method|alias|ObjectSpace|raise|send|STD|\$|at_exit"
        r"|def\s+(?:=|!)",
        equality=r"def\s+(?:[\w.]+\.)?(?:===?|eql\?|equal\?)"
        r"|(?:define_\w*method|alias\w*|send)\W+(?:==|eql|equal)|\bComparable\b",
    ),
)

LUA = Language(
    name="lua",
    title="Lua",
    file_name="program.lua",
    variants=(
        Variant(
            tools=(Tool(name="lua5.3", shown="lua", version=("-v",), debian=("lua5.3", "lua-unit")),),
            steps=(Step(argv=("{lua5.3}", "program.lua")),),
        ),
    ),
    signs=Signs(
        memory=r"not enough memory",
        syntax=r"\A\S*lua5\.3: program\.lua:\d+: (?![\s\S]*^stack traceback:)",
        crash=r"^\S*lua5\.3: |^Tests with errors:\n-+\n1\) .*\n(.*)",
        assertion=r"[1-9]\d{0,8} failure|expected:",
    ),
    proof=Proof(
        comment="-- xftbench",
        line="\n    lu.assertEquals({@A@}, {@B@}); "
        "(function(b, a) io.stdout:write('\\n' .. a .. b .. '\\n') end)"
        "('@2@', '@1@')",
        before=r"\nend\s*\n+os\.exit\(",
        check=(r"lu\.assertEquals\(candidate\(", ")"),
        wary=_MEDDLING + r"|os\.|io\.|debug|require|package|_G|_ENV|metatable|lu\b|load|rawequal|assert|error"
        # What luaunit compares by.
        r"|\b(?:type|i?pairs|next|select|tostring|string|table|math)\s*=(?!=)"
        r"|function\s+(?:type|i?pairs|next|select|tostring)\b",
        equality=r"__eq\b",
    ),
)

PERL = Language(
    name="pl",
    title="Perl",
    file_name="program.pl",
    variants=(
        Variant(
            tools=(
                Tool(
                    name="perl",
                    version=("-e", "print $^V"),
                    debian=("perl", "libtest-deep-perl"),
                ),
            ),
            steps=(Step(argv=("{perl}", "program.pl")),),
        ),
    ),
    rule=Rule(output_lacks=("ERROR",)),
    signs=Signs(
        memory=r"Out of memory",
        syntax=r"\A(.+)\n(?:.*\n)*?(?:.*compilation aborted at program\.pl line|"
        r"Execution of program\.pl aborted|program\.pl has too many errors)"
        r"|^Can't find string terminator .* at program\.pl line",
        failed_status=1,
    ),
    proof=Proof(
        comment="# xftbench",
        line="if (eq_deeply([@A@], [@B@])) { "
        "my ($b_, $a_) = ('@2@', '@1@'); print \"\\n$a_$b_\\n\" } else { exit 1; }",
        check=(r"if\(eq_deeply\(\$candidate->\(", ")) {"),
        # Everything gets a control, which takes milliseconds: a function that returns several values puts
        # them in the places of what the check compares, and there are too many ways to do that.
        wary="",
        equality=r"\boverload\b",
    ),
    # The order of a hash is another one in each run; some answers depend on it.
    environment=(("PERL_HASH_SEED", "0"),),
)

R = Language(
    name="r",
    title="R",
    file_name="program.r",
    variants=(
        Variant(
            tools=(Tool(name="Rscript", shown="R", debian=("r-base-core",)),),
            steps=(Step(argv=("{Rscript}", "program.r"), cpu_s=5),),
        ),
    ),
    signs=Signs(
        memory=r"cannot allocate (?:vector|memory)",
        syntax=r"^Error: (?:unexpected (?:.* in(?: \"|:$)|end of input$)|repeated formal argument"
        r"|.* in character string|attempt to use zero-length variable name|The pipe operator)",
        assertion=r"(?:is|are) not (?:all )?TRUE",
    ),
    proof=Proof(
        comment="# xftbench",
        line="stopifnot(isTRUE(all.equal(c(@A@), c(@B@)))); "
        "(function(b, a) cat('\\n', a, b, '\\n', sep=''))('@2@', '@1@')",
        check=(r"stopifnot\(isTRUE\(all\.equal\(candidate\(", ")))"),
        wary=_MEDDLING
        + r"|\bq\(|stopifnot|trace\(|Binding|Namespace|isTRUE|all\.equal|assign|environment|options|source"
        r"|parse|tryCatch|sink|library|attr|->|[`\"']\s*<<?-|[({\[][`\"']\s*=",
        equality=r"all\.equal\.\w|all\.equal\W{0,2}(?:<-|<<-|=)|->>?\s*\W?(?:all\.equal|Ops)|\bOps\.|`==|"
        r"setMethod|registerS3method|(?:assign|delayedAssign)\s*\(\s*.(?:all\.equal|Ops|==)",
    ),
)

JULIA = Language(
    name="jl",
    title="Julia",
    file_name="program.jl",
    variants=(
        Variant(
            tools=(
                Tool(
                    name="julia",
                    advice="Debian has no package: unpack a release of julialang.org and put its bin on PATH",
                ),
            ),
            steps=(Step(argv=("{julia}", "program.jl"), cpu_s=5),),
        ),
    ),
    signs=Signs(
        memory=r"OutOfMemoryError",
        syntax=r"syntax:|ParseError",
        assertion=r"Some tests did not pass|Test Failed",
    ),
    proof=Proof(
        comment="# xftbench",
        line="@test([@A@] == [@B@]); ((b, a) -> print(stdout, '\\n', a, b, '\\n'))(\"@2@\", \"@1@\")",
        check=(r"@test\(candidate\(", ")"),
        wary=_MEDDLING + r"|Base\.|Core\.|ccall|@|include|import|using|Test|macro|finalizer",
        equality=r"==\)?\s*\(\s*\w*\s*::|isequal\s*\(\s*\w*\s*::",
    ),
    runtime_memory=True,
)

RACKET = Language(
    name="rkt",
    title="Racket",
    file_name="program.rkt",
    variants=(
        Variant(
            tools=(Tool(name="racket", debian=("racket",)),),
            steps=(Step(argv=("{racket}", "program.rkt")),),
        ),
    ),
    rule=Rule(stderr_empty=True),
    signs=Signs(
        memory=r"out of memory", syntax=r"read-syntax|expander", crash=r"^ERROR\n+.*", assertion=r"FAILURE"
    ),
    proof=Proof(
        comment="; xftbench",
        line="(check-within (list @A@) (list @B@) 0.001) "
        '((lambda (b a) (write-string (string-append "\\n" a b "\\n")) (flush-output)) "@2@" "@1@")',
        check=(r"\(check-within \(candidate\b", " 0.001)"),
        wary=_MEDDLING
        + r"|require|parameterize|rackunit|provide|module|syntax|custodian|plumber|(?<![\w-])set!"
        r"|define-values|current-(?:\w+-port|command|namespace|exit|thread|load|library|print|write|read|inspector|security|env"
        r"|eval|param|continuation|logger|check|test)"
        r"|check-(?:within|equal|eqv?\?|not|true|false|pred|=|match|exn|regexp|info|around|fail)|with-check",
    ),
    environment=(("PLTADDONDIR", "{work}/.racket"),),
    runtime_memory=True,
)

BASH = Language(
    name="sh",
    title="Bash",
    file_name="program.sh",
    variants=(
        Variant(
            tools=(Tool(name="bash", debian=("bash",)),),
            steps=(Step(argv=("{bash}", "program.sh")),),
        ),
    ),
    signs=Signs(
        memory=r"[Cc]annot allocate memory|xrealloc",
        syntax=r"^program\.sh: (?:command substitution: )?line \d+: (?:syntax error|unexpected EOF)",
        crash=r"^(?:program\.sh|bash): (?:.*\n(?=.*\(error token))?.*",
        failed_status=1,
    ),
    proof=Proof(
        comment="# xftbench",
        line='[[ "@A@" = "@B@" ]]; set -- \'@2@\' \'@1@\'; printf \'\\n%s%s\\n\' "$2" "$1"',
        check=(r"\[\[ \$\(candidate\b", "]]"),
        wary=r"\b(?:exit!?|_exit|abort|quit|kill|signal|trap|eval|system|exec\w*|fork|spawn\w*|f?open|File)\b|__\w"
        r"|\bset\b|alias|enable|builtin|shopt|BASH|PIPE|\$0|function\s+(?:set|printf|candidate)|"
        r"(?:set|printf|candidate|run_test)\s*\(\)",
        equality="nocasematch",
    ),
)

OCAML = Language(
    name="ml",
    title="OCaml",
    file_name="program.ml",
    variants=(
        Variant(
            tools=(Tool(name="ocaml", version=("-version",), debian=("ocaml-nox",)),),
            steps=(Step(argv=("{ocaml}", "program.ml")),),
        ),
    ),
    signs=Signs(
        memory=r"Out_of_memory|Out of memory",
        syntax=r"^Error: (?:Syntax error|Unbound|This expression|Illegal)|Error:",
        assertion=r"Assert_failure",
    ),
    proof=Proof(
        comment="(* xftbench *)",
        line='let () = assert ([@A@] = [@B@]); (fun b a -> print_string ("\\n" ^ a ^ b ^ "\\n")) "@2@" "@1@"',
        wary=_MEDDLING
        + r"|Stdlib|let\s+(?:\(|rec\s*\()|at_exit|Obj|external|raise|assert|#|(?<![<>!:=])=\s*(?:\)|\(\*)",
        equality=r"\b(?:let|and)\b[^=]{0,200}\(\s*(?:\(\*[^*]{0,200}\*\)\s*)?=",
    ),
)

ELIXIR = Language(
    name="elixir",
    title="Elixir",
    file_name="program.exs",
    variants=(
        Variant(
            tools=(Tool(name="elixir", version=("--short-version",), debian=("elixir",)),),
            steps=(Step(argv=("{elixir}", "program.exs"), cpu_s=5),),
        ),
    ),
    signs=Signs(
        syntax=r"SyntaxError|TokenMissingError|CompileError",
        assertion=r"Assertion with|[1-9]\d{0,8} failures?",
    ),
    runtime_memory=True,
)

CLOJURE = Language(
    name="clj",
    title="Clojure",
    file_name="program.clj",
    variants=(
        Variant(
            # Debian's wrapper knows none of the official one's options.
            tools=(
                Tool(name="clojure", version=("-e", "(clojure-version)"), debian=("clojure",)),
                Tool(name="java", version=(), debian=("default-jre-headless",)),
            ),
            steps=(Step(argv=("{clojure}", "program.clj")),),
        ),
    ),
    rule=Rule(stdout_has="\n0 failures, 0 errors.\n"),
    signs=Signs(
        memory=r"java\.lang\.OutOfMemoryError",
        syntax=r"Syntax error",
        assertion=r"[1-9]\d{0,8} failures|FAIL in",
    ),
    proof=Proof(
        comment="; xftbench",
        check=(r"\(is \(= \(candidate\b", "))"),
        line='(when (not= [@A@] [@B@]) (throw (Exception. "xftbench"))) '
        '((fn [b a] (.write *out* (str "\\n" a b "\\n")) (.flush *out*)) "@2@" "@1@")',
        wary=_MEDDLING
        + r"|System|clojure\.test|\bis\b|in-ns|ns|require|alter-var|with-redefs|intern|Runtime|binding"
        # What finds any value in itself.
        r"|sorted-\w+-by|comparator|defrecord",
        equality=r"\b(?:reify|deftype|proxy|gen-class|extend\S*)\b",
    ),
    runtime_memory=True,
)

DART = Language(
    name="dart",
    title="Dart",
    file_name="program.dart",
    variants=(
        Variant(
            tools=(
                Tool(
                    name="dart",
                    advice="Debian has no package: unpack a release of dart.dev and put its bin on PATH",
                ),
            ),
            steps=(Step(argv=("{dart}", "program.dart")),),
        ),
    ),
    signs=Signs(memory=r"Out of Memory", syntax=r"Error:", assertion=r"Failed assertion|Expected:"),
    runtime_memory=True,
)

PYTHON = Language(
    name="py",
    title="Python",
    file_name="program.py",
    variants=(
        Variant(
            tools=(Tool(name="python3", files=("/usr/bin/python3",), shown="python", debian=("python3",)),),
            steps=(Step(argv=("{python3}", "program.py")),),
        ),
    ),
    signs=Signs(memory=r"MemoryError", syntax=r"SyntaxError|IndentationError", assertion=r"AssertionError"),
    proof=Proof(
        comment="# xftbench",
        line="assert [@A@] == [@B@]; (lambda b, a: print('\\n' + a + b, flush=True))('@2@', '@1@')",
        check=(r"assert candidate\(", ""),
        wary=_MEDDLING + r"|os\.|sys|import|assert|print|globals|builtins|__eq__|class|raise|gc\b|inspect",
        equality=r"__eq__|__ne__",
    ),
)

INTERPRETED = (
    JAVASCRIPT, TYPESCRIPT, PHP, RUBY, LUA, PERL, R, JULIA, RACKET, BASH, OCAML, ELIXIR, CLOJURE, DART,
    PYTHON,
)  # fmt: skip
