"""Words of which honest programs are made, by language: keywords, and what is used of the standard library.

Nothing here reaches files, other processes, the runtime's own objects, or what stands behind a check. What is
missing costs a program that uses it a second run, and no more.
"""

USUAL = """
    Example Expected Output Outputs Result Should The a1 a2 aeiou aeiouAEIOU arr arr1 arr2 array1 array2
    array_nums array_nums1 array_nums2 b1 b2 be bin c1 c2 count current db delimiter dict1 dict2 dict3
    digit_sum digits_sum dll element elements end_ factorial game grid guess height idx idx1 idx2 index1
    index2 interval1 interval2 isPalindrome isPrime isVowel is_palindrome is_prime is_vowel item items key
    l1 l2 l3 left letter letters list1 list2 list3 lst lst1 lst2 mid n1 n2 ng nput num num1 num2 num3 number
    number1 number2 numbers nums nums1 nums2 odd of output prev price res result results right s1 s2 should
    start_ str1 str2 strings sumDigits sum_ sum_digits test_dict test_list test_list1 test_list2 test_str
    test_tup test_tup1 test_tup2 text th the threshold total tup tup1 tup2 txt val vals vowels weight word
    words x1 x2 y1 y2 zA
"""
"""What variables are called, in any language."""

WORDS = {
    "cpp": """
        DBL_MAX FLT_MAX INT_MAX INT_MIN LLONG_MAX LLONG_MIN LONG_MAX LONG_MIN M_PI UINT_MAX abs accumulate
        acos adjacent_find advance algorithm all_of any_of array asin assert assign at atan atan2 auto back
        back_inserter begin binary_search bits bitset bool break c_str cassert catch cbegin cbrt cctype ceil
        cend cerr cfloat char clamp class clear climits cmath compare const const_iterator constexpr
        continue copy copy_if cos count count_if cout cstdint cstdio cstdlib cstring data dec default delete
        deque distance do domain_error double else emplace emplace_back emplace_hint empty end endl enum
        epsilon equal erase exception exp fabs false fill fill_n find find_first_not_of find_first_of
        find_if find_if_not find_last_not_of find_last_of first fixed float floor for for_each forward_list
        front function functional gcd generate get getline goto greater greater_equal has_value hex hypot if
        include includes infinity inner_product insert inserter int int32_t int64_t invalid_argument iomanip
        iostream is_permutation is_sorted isalnum isalpha isdigit isinf islower isnan ispunct isspace
        istringstream isupper isxdigit iterator lcm length length_error less less_equal limits list llround
        log log10 log2 long lower_bound lowest lround make_pair make_tuple map math max max_element max_size
        merge min min_element minmax minmax_element multimap multiplies multiset namespace new next
        next_permutation none_of npos nth_element nullopt nullptr numeric numeric_limits oct optional
        ostringstream out_of_range overflow_error pair partial_sort partial_sum partition pop pop_back
        pop_front pow prev prev_permutation priority_queue private public push push_back push_front queue
        quiet_NaN random_access regex regex_match regex_replace regex_search remove remove_copy
        remove_copy_if remove_if rend replace reserve resize return reverse reverse_iterator rfind rint
        rotate round second set set_difference set_intersection set_union setfill setprecision setw short
        signed sin size size_t size_type sizeof smatch sort sqrt sregex_iterator sregex_token_iterator
        sstream stable_partition stable_sort stack static_cast std stdc stdio stdlib stod stof stoi stol
        stoul stoull string string_view stringstream struct substr swap swap_ranges switch tan this throw
        tie to_string tolower top toupper transform true trunc try tuple tuple_size typedef uint32_t
        uint64_t uint8_t unique_copy unordered_map unordered_multiset unordered_set unsetf unsigned
        uppercase using utility vector void what while
    """,
    "java": """
        ArithmeticException ArrayDeque ArrayList Arrays BiFunction BigDecimal BigInteger BinaryOperator
        Boolean Byte CharSequence Character Collection Collections Collectors Comparator Consumer
        DecimalFormat Deque Double DoubleStream Entry EnumMap Exception Float Function HashMap HashSet
        IllegalArgumentException IllegalStateException IndexOutOfBoundsException IntStream Integer Iterable
        Iterator LinkedHashMap LinkedHashSet LinkedList List ListIterator Locale Long LongStream MAX_VALUE
        MIN_VALUE Map Matcher Math NavigableMap NoSuchElementException NullPointerException Number
        NumberFormatException ONE Object Objects Octet Optional Override PI Pair Pattern Predicate
        PriorityQueue Queue Quintet RoundingMode RuntimeException Septet Set Sextet Short SortedMap Stack
        Stream String StringBuffer StringBuilder Supplier TEN TWO TreeMap TreeSet Triplet Tuple
        UnaryOperator Unit ZERO abs abstract acos add addAll addFirst addLast allMatch anyMatch append
        asDoubleStream asList asLongStream asin atan atan2 average averagingInt bitCount boolean boxed break
        byte byteValue case catch cbrt ceil ceilingKey char charAt chars class clear codePointAt collect
        collectingAndThen compare compareTo compareToIgnoreCase comparingDouble comparingInt comparingLong
        compile computeIfAbsent computeIfPresent contains containsAll containsKey containsValue continue
        copyOf copyOfRange cos count counting deepToString default delete deleteCharAt descendingIterator
        descendingMap digit disjoint distinct divide do double doubleValue else empty emptyList end entrySet
        enum equals equalsIgnoreCase exp extends false fill filter final finally find findAny findFirst
        firstKey flatMap float floatValue floor floorDiv floorKey floorMod for forDigit forEach format
        frequency gcd generate get getFirst getKey getLast getNumericValue getOrDefault getValue getValue0
        getValue1 getValue2 getValue3 getValue4 group groupingBy hasNext hashCode hypot if ifPresent
        implements import indexOf insert instanceof int intValue interface io isAlphabetic isBlank isDigit
        isEmpty isLetter isLetterOrDigit isLowerCase isPresent isProbablePrime isSpaceChar isUpperCase
        isWhitespace iterate iterator javatuples join joining keySet lang lastIndexOf lastKey length limit
        lines listIterator log log10 long longValue lookingAt map mapToDouble mapToInt mapToLong mapToObj
        matches math max merge min mod modPow multiply nCopies naturalOrder negate new next noneMatch null
        of offer offerFirst offerLast orElse orElseThrow out parseDouble parseFloat parseInt parseLong
        partitioningBy peek peekFirst peekLast poll pollFirst pollLast pop pow print printf println private
        probablePrime public push put putIfAbsent quote random range rangeClosed record reduce reflect regex
        regionMatches remove removeAll removeFirst removeIf removeLast repeat replace replaceAll retainAll
        return reverse reverseOrder round security set setCharAt setLength setValue short signum sin
        singletonList size skip sort sorted split sqrt start startsWith static stream strip subList
        substring subtract sum summaryStatistics summingInt summingLong super swap switch synchronized tan
        text thenComparing this throw toArray toBinaryString toCharArray toCollection toDegrees toHexString
        toList toLowerCase toMap toOctalString toRadians toSet toString toUnmodifiableList toUpperCase trim
        true try unmodifiableList util valueOf values var void while with yield
    """,
    "rs": """
        BTreeMap BTreeSet BinaryHeap Box Clone Copy Cow Debug Default EPSILON Eq Equal Err Fn FnMut Greater
        Hash HashMap HashSet INFINITY IntoIterator Item Iterator Less MAX MIN NAN NEG_INFINITY None Ok
        Option Ord Ordering PI PartialOrd Rc RefCell Result Reverse Some String Vec VecDeque abs abs_diff
        all allow and_modify and_then any append as as_bytes as_mut as_ref as_slice as_str assert assert_eq
        atan atan2 binary_search bool break bytes capacity cbrt ceil cfg chain char char_indices chars
        checked_add checked_div checked_mul checked_sub chunks chunks_exact clamp clear clone cloned cmp
        collect collections concat const consts contains contains_key continue copied copy cos count
        count_ones crate cycle dead_code dedup dedup_by_key default derive difference div_euclid drain dyn
        else ends_with entry enum enumerate eq eq_ignore_ascii_case exp expect extend extend_from_slice f32
        f64 false fill filter filter_map find find_map first first_mut flat_map flatten floor fmt fn fold
        for for_each format fract from from_digit from_str_radix from_u32 from_utf8 from_utf8_lossy ge get
        get_mut gt hypot i128 i16 i32 i64 i8 if impl in inline insert inspect intersection into into_iter
        into_keys into_values is_alphabetic is_alphanumeric is_ascii is_ascii_alphabetic
        is_ascii_alphanumeric is_ascii_digit is_ascii_lowercase is_ascii_punctuation is_ascii_uppercase
        is_digit is_disjoint is_empty is_err is_lowercase is_nan is_none is_numeric is_ok is_power_of_two
        is_some is_sorted is_subset is_superset is_uppercase is_whitespace isize iter iter_mut join keys
        last last_mut le leading_zeros len let lines ln log log10 log2 loop lt map map_or map_or_else match
        matches max max_by max_by_key mem min min_by min_by_key mod move mut ne new next nth ok ok_or
        or_default or_else or_insert or_insert_with overflowing_add parse partial_cmp partition peek
        peekable pop pop_back pop_front position pow powf powi print println product pub push push_back
        push_front push_str range reduce ref rem_euclid remove repeat replace replacen reserve resize retain
        return rev reverse rfind rotate_left rotate_right round rposition rsplit saturating_add
        saturating_sub scan self signum sin skip skip_while sort sort_by sort_by_key sort_unstable
        sort_unstable_by split split_at split_off split_terminator split_whitespace splitn sqrt starts_with
        static std step_by str string strip_prefix strip_suffix struct sum super swap swap_remove
        symmetric_difference take take_while tan test then then_some then_with to_ascii_lowercase
        to_ascii_uppercase to_digit to_lowercase to_owned to_string to_uppercase to_vec total_cmp
        trailing_zeros trait trim trim_end trim_end_matches trim_matches trim_start trim_start_matches true
        trunc truncate type u128 u16 u32 u64 u8 union unreachable unused unwrap unwrap_or unwrap_or_default
        unwrap_or_else unzip use usize values values_mut vec where while windows with_capacity wrapping_add
        wrapping_mul wrapping_sub write zip
    """,
    "swift": """
        Any AnyHashable Array ArraySlice Bool Character CharacterSet ClosedRange Comparable Dictionary
        Double Equatable Error Float Hashable Int Int32 Int64 NSRange NSRegularExpression Optional Range
        Result Self Set String StringProtocol Substring UInt UInt64 UInt8 UnicodeScalar Void abs acos after
        allSatisfy append as asciiValue asin associatedtype at atan atan2 before bitWidth break by
        capitalized case caseInsensitive catch ceil charactersIn class compactMap components contains
        containsValue contentsOf continue cos count debugPrint decimalDigits default defer description
        distance do down drop dropFirst dropLast element elements else endIndex enum enumerated exp
        extension failure fallthrough false fatalError fileprivate filter final first firstIndex firstMatch
        flatMap floor fmod for forEach formIndex format from func greatestFiniteMagnitude grouping guard
        hasPrefix hasSuffix hexDigitValue hypot if import in index indices infinity init inout insert
        internal intersection is isASCII isDisjoint isEmpty isInfinite isLetter isLowercase isMultiple isNaN
        isNumber isPunctuation isSubset isSuperset isUppercase isWhitespace isWholeNumber joined
        keyValuePairs keys last lastIndex lazy leadingZeroBitCount length let letters localizedDescription
        location log log10 log2 lowerBound lowercased magnitude map mapValues matches max maxSplits merging
        min multipliedReportingOverflow mutating nan nil nonzeroBitCount of offset offsetBy
        omittingEmptySubsequences options overflow partialValue pattern pi popLast pow precondition prefix
        print private protocol public punctuationCharacters quotientAndRemainder radix range reduce
        regularExpression remainder remove removeAll removeFirst removeLast removeValue repeat repeatElement
        repeating replaceSubrange replacingOccurrences rethrows return reverse reversed round rounded
        rounding self separatedBy separator shuffled signum sin sort sorted split sqrt squareRoot startIndex
        starts static stride struct subscript subtract subtracting success suffix sum super swap swapAt
        switch symmetricDifference tan the through throw throws to toNearestOrAwayFromZero toNearestOrEven
        toggle towardZero trailingZeroBitCount trimmingCharacters true truncatingRemainder try typealias
        unicodeScalars union uniquingKeysWith up updateValue upperBound uppercased utf16 utf8 value values
        var where while whitespaces whitespacesAndNewlines wholeNumberValue with words zip
    """,
    "go": """
        Abs Acos Add Asin Atan Atan2 Atoi Back Buffer Builder Cbrt Ceil Cmp Compile Contains ContainsAny
        ContainsRune Cos Count Div EqualFold Errorf Exp Fields FieldsFunc FindAllString
        FindAllStringSubmatch FindString FindStringIndex FindStringSubmatch Fix Float64s Floor FormatFloat
        FormatInt Front Grow HasPrefix HasSuffix Hypot Index IndexAny IndexByte IndexRune Inf Init Int Int64
        IntSlice Ints IsDigit IsInf IsInt64 IsLetter IsLower IsNaN IsNumber IsPunct IsSorted IsSpace IsUpper
        Itoa Join LastIndex Len Len64 Less Log Log10 Log2 Map MatchString Max MaxFloat64 MaxInt MaxInt32
        MaxInt64 Min MinInt MinInt32 MinInt64 Mod Modf Mul MustCompile NaN New NewInt Next OnesCount
        ParseBool ParseFloat ParseInt Pi Pop Pow Prev Print Printf Println ProbablyPrime Push PushBack
        PushFront Quote Rat Remove Repeat Replace ReplaceAll ReplaceAllString Reset Reverse Round
        RuneCountInString Search SearchInts SetString Sign Sin Slice SliceIsSorted SliceStable Sort Split
        SplitN Sprint Sprintf Sprintln Sqrt Sscan Sscanf Stable String StringSlice Strings Sub Swap Tan
        Title ToLower ToTitle ToUpper Trim TrimFunc TrimLeft TrimPrefix TrimRight TrimSpace TrimSuffix Trunc
        Value WriteByte WriteRune WriteString any append big bits bool break byte bytes cap case chan clear
        close cmplx complex complex128 complex64 const container continue copy default defer delete else
        error errors fallthrough false float32 float64 fmt for func goto heap if imag import int int16 int32
        int64 int8 interface iota len list make map math max min new nil package print println range real
        regexp return rune select slices sort strconv string strings struct switch true type uint uint16
        uint32 uint64 uint8 unicode utf8 value var
    """,
    "cs": """
        Abs Acos Action Add AddFirst AddLast AddRange Aggregate All Any Append AppendFormat AppendLine
        ArgumentException ArgumentNullException ArgumentOutOfRangeException Array Asin Atan Atan2 Average
        AwayFromZero BigInteger BigMul BinarySearch Boolean Capacity Captures Cast Cbrt Ceiling Char Clamp
        Clear Clone Collections Compare CompareTo Comparer Comparison Compiled Concat Contains ContainsKey
        ContainsValue Convert ConvertAll CopyTo Cos Count Create Cryptography Decimal DefaultIfEmpty Dequeue
        Diagnostics Dictionary Distinct DivRem DivideByZeroException Double ElementAt Empty EndsWith Enqueue
        Enumerable Epsilon Equals Except ExceptWith Exception Exists Exp Fill Find FindAll FindIndex
        FindLast First FirstOrDefault Floor ForEach Format FormatException Func Generic GetLength
        GetNumericValue GetRange GreatestCommonDivisor GroupBy Groups HasValue HashSet ICollection IComparer
        IDictionary IList ISet IgnoreCase Index IndexOf IndexOfAny Insert Int32 Int64 Intersect
        IntersectWith InvalidOperationException IsControl IsDigit IsLetter IsLetterOrDigit IsLower
        IsNullOrEmpty IsNullOrWhiteSpace IsPunctuation IsSubsetOf IsSymbol IsUpper IsWhiteSpace Item1 Item2
        Item3 Item4 Item5 Item7 Join Key KeyValuePair Keys Last LastIndexOf LastOrDefault Length LinkedList
        Linq List Log Log10 Log2 LongCount MatchCollection Matches Math Max MaxBy MaxValue MidpointRounding
        Min MinBy MinValue MinusOne ModPow NaN NegativeInfinity NextMatch NotSupportedException Nullable
        Numerics Object OfType One OrderBy Ordinal OrdinalIgnoreCase OverflowException PI PadLeft PadRight
        Parse Peek Pop PositiveInfinity Pow Predicate Prepend Push Queue Range Rank Regex RegexOptions
        RegularExpressions Remove RemoveAll RemoveAt RemoveEmptyEntries RemoveFirst RemoveLast RemoveRange
        Repeat Replace Resize Reverse Round Security Select SelectMany SequenceEqual SetEquals Sign Sin
        Single Skip SkipWhile Sort SortedDictionary SortedList SortedSet Split Sqrt Stack StartsWith String
        StringBuilder StringComparison StringSplitOptions Substring Success Sum Take TakeWhile Tan Text
        ThenBy ToArray ToBoolean ToChar ToCharArray ToDictionary ToDouble ToEven ToHashSet ToInt32 ToInt64
        ToList ToLookup ToLower ToLowerInvariant ToString ToUpper ToUpperInvariant Trim TrimEnd TrimStart
        TrueForAll Truncate TryGetValue TryParse Tuple Union UnionWith Value ValueTuple Values Where Write
        WriteLine Zero Zip abs as ascending base bool break by byte catch char class const continue decimal
        default descending do double else enum false finally float for foreach from get goto group if in int
        into is join let lock long nameof new null object orderby out params private public readonly ref
        return sbyte select set short static string struct switch this throw true try tuple uint ulong
        ushort using value var void when where while yield
    """,
    "d": """
        BigInt BinaryHeap DList Exception Nullable PI RedBlackTree SList Tuple abs acos algorithm alias all
        among any appender arr array ascii asin assocArray atan atan2 auto back bigint bin binary bitmanip
        bool break byCodeUnit byDchar byGrapheme byKey byKeyValue byValue byte canFind capitalize captures
        cartesianProduct case cast catch cbrt ceil center chain char chomp chop chunkBy chunks class clear
        cmp const container continue conv cos count countOccurrences countUntil ctRegex cycle data datetime
        dchar default delegate do double drop dropBack dropExactly dropOne dstring dup each else empty
        endsWith enforce enum enumerate epsilon equal exception exp exp2 expand fabs false filter
        filterBidirectional finally find findSplit float floor fmod fold for foreach foreach_reverse format
        front function functional gcd generate get goto group heapify hit hypot idup if immutable import in
        indexOf infinity init insert insertBack insertFront int interface iota is isAlpha isAlphaNum isDigit
        isInfinity isLower isNaN isNull isNumber isPunctuation isSorted isUpper isWhite iteration join
        joiner key keys lambda lastIndexOf lcm leftJustify length levenshteinDistance log log10 log2 long
        lround map match matchAll matchFirst matches math max maxElement maxIndex min minElement minIndex
        nan new not null nullable numeric only out parse partialSort permutations popBack popFront post pow
        pre private ptr public put random range real recurrence redBlackTree reduce ref regex remove
        removeBack removeFront repeat replace replaceAll replaceFirst representation require retro return
        reverse rightJustify round save scope searching sequence setDifference setIntersection
        setSymmetricDifference setUnion sgn short sin size_t slide sort sorting split splitter sqrt
        stableInsert startsWith static std stdio str1 stride string strip stripLeft stripRight struct sum
        swap switch take takeExactly takeOne tan text throw to toLower toUpper topN true trunc try tuple
        typecons typeof ubyte uint ulong unary uni uniq until update ushort utf value values void walkLength
        wchar while with write writef writefln writeln wstring zip
    """,
    "scala": """
        Any Array ArrayBuffer ArrayDeque BigDecimal BigInt Boolean Breaks Byte Char Character Double Either
        Exception Failure Float HALF_UP HashMap HashSet IllegalArgumentException IndexedSeq Int Integer
        Integral Iterator LazyList Left LinkedHashMap List ListBuffer Long Map Math MaxValue MinValue NaN
        NegativeInfinity Nil NoSuchElementException None Nothing Null NumberFormatException Numeric Option
        Ordering Pi PositiveInfinity PriorityQueue Queue Range Regex Right RoundingMode Seq Set Short Some
        SortedMap SortedSet Stack Stream String StringBuilder Success TreeMap TreeSet Try Tuple1 Tuple2
        Tuple3 Tuple4 Tuple5 Unit Vector _1 _2 _3 _4 _5 _6 abs acos add addOne annotation append appendAll
        apply asDigit asInstanceOf asin atan atan2 break breakable by canEqual capitalize case catch cbrt
        ceil charAt chars class clear collect collectFirst collection combinations concat contains
        containsSlice continually corresponds cos count def deleteCharAt dequeue diff distinct distinctBy do
        drop dropRight dropWhile else empty end endsWith enqueue even exists exp extends false fill filter
        filterNot final finally find findAllIn findAllMatchIn findFirstIn findFirstMatchIn flatMap flatten
        floor fold foldLeft foldRight for forall foreach format formatted gcd get getNumericValue getOrElse
        getOrElseUpdate group groupBy groupMapReduce grouped groups hasNext head headOption hypot identity
        if immutable import index indexOf indexWhere indices init inits insert intersect isDefined isDigit
        isEmpty isInstanceOf isLetter isLetterOrDigit isLower isProbablePrime isUpper isValidInt
        isWhitespace iterate iterator keySet keys last lastIndexOf lastOption lazy lazyZip length
        lengthCompare log log10 map mapValues match matched matches matching math max maxBy maxOption min
        minBy minOption mkString mod modPow mutable new next nonEmpty nonNegative null num object ofDim
        orElse orNull ordering override padTo partition patch permutations pop pow prepend print println
        private product productIterator protected push range reduce reduceLeft reduceOption reduceRight
        remove replace replaceAll replaceFirst require result return reverse reverseIterator round
        sameElements scala scan scanLeft sealed setCharAt setScale signum sin size slice sliding sortBy
        sortWith sorted span split splitAt sqrt start startsWith strip stripMargin stripPrefix stripSuffix
        subsetOf substring sum super swap tabulate tail tailrec tails take takeRight takeWhile tan this
        throw to toArray toBinaryString toBuffer toByte toChar toCharArray toDouble toDoubleOption toFloat
        toHexString toIndexedSeq toInt toIntOption toList toLong toLower toLowerCase toMap toOption toSeq
        toSet toString toUpper toUpperCase toVector top trait transform transpose trim true try type unapply
        union until unzip update updated updatedWith util val values var while with withDefaultValue
        withFilter yield zip zipAll zipWithIndex zipped
    """,
    "js": """
        Array BigInt BigInt64Array Boolean EPSILON Error Float64Array Infinity Int32Array JSON
        MAX_SAFE_INTEGER MAX_VALUE MIN_SAFE_INTEGER MIN_VALUE Map Math NEGATIVE_INFINITY NaN Number Object
        PI POSITIVE_INFINITY RangeError RegExp Set String Symbol TypeError Uint32Array Uint8Array ab abs
        acos add aeiouAEIOU asin async at atan atan2 await base break case catch cbrt ceil charAt charCodeAt
        class clear codePointAt concat console const continue copyWithin cos default delete do done else
        endsWith entries error every exec exp extends false fill filter finally find findIndex findLast
        findLastIndex flat flatMap floor for forEach from fromCharCode fromEntries function get groups has
        hasOwnProperty hypot if in includes index indexOf info input instanceof isArray isFinite isInteger
        isNaN isSafeInteger iterator join keys lastIndexOf length let localeCompare log log10 log2 map match
        matchAll max min name new next normalize null numeric of padEnd padStart parse parseFloat parseInt
        pop pow push random reduce reduceRight repeat replace replaceAll return reverse round search
        sensitivity set shift sign sin size slice some sort splice split sqrt startsWith static stringify
        substr substring super switch tan test throw toFixed toLocaleString toLowerCase toPrecision toString
        toUpperCase trim trimEnd trimStart true trunc try typeof undefined unshift value values var void
        while yield
    """,
    "ts": """
        Array BigInt BigInt64Array Boolean EPSILON Error Float64Array Generator Infinity Int32Array Iterable
        JSON MAX_SAFE_INTEGER MAX_VALUE MIN_SAFE_INTEGER MIN_VALUE Map Math NEGATIVE_INFINITY NaN Number
        Object PI POSITIVE_INFINITY Partial RangeError Record RegExp Set String Symbol Tuple TypeError
        Uint32Array Uint8Array ab abs abstract acos add aeiouAEIOU any as asin asserts async at atan atan2
        await base bigint boolean break case catch cbrt ceil charAt charCodeAt class clear codePointAt
        concat console const continue copyWithin cos declare default delete do done else endsWith entries
        enum error every exec exp extends false fill filter finally find findIndex findLast findLastIndex
        flat flatMap floor for forEach from fromCharCode fromEntries function get groups has hasOwnProperty
        hypot if implements in includes index indexOf info input instanceof interface is isArray isFinite
        isInteger isNaN isSafeInteger iterator join key keyof keys lastIndexOf length let localeCompare log
        log10 log2 map match matchAll max min namespace never new next normalize null number numeric of
        padEnd padStart parse parseFloat parseInt pop pow private protected public push random readonly
        reduce reduceRight repeat replace replaceAll return reverse round satisfies search sensitivity set
        shift sign sin size slice some sort splice split sqrt startsWith static string stringify substr
        substring super switch symbol tan test throw toFixed toLocaleString toLowerCase toPrecision toString
        toUpperCase trim trimEnd trimStart true trunc try type typeof undefined unknown unshift value values
        var void while yield
    """,
    "php": """
        ARRAY_FILTER_USE_BOTH ARRAY_FILTER_USE_KEY COUNT_RECURSIVE INF M_PI NAN PHP_EOL PHP_FLOAT_EPSILON
        PHP_FLOAT_MAX PHP_FLOAT_MIN PHP_INT_MAX PHP_INT_MIN PREG_OFFSET_CAPTURE PREG_SPLIT_NO_EMPTY
        SORT_NUMERIC SORT_REGULAR SORT_STRING STR_PAD_LEFT STR_PAD_RIGHT abs acos and array array_chunk
        array_column array_combine array_count_values array_diff array_diff_assoc array_diff_key array_fill
        array_fill_keys array_filter array_flip array_intersect array_intersect_key array_is_list
        array_key_exists array_key_first array_key_last array_keys array_map array_merge array_multisort
        array_pad array_pop array_product array_push array_rand array_reduce array_replace array_reverse
        array_search array_shift array_slice array_splice array_sum array_unique array_unshift array_values
        array_walk arsort as asin asort atan atan2 base_convert bcadd bccomp bcdiv bcmod bcmul bcpow bcsub
        bin2hex bindec bool boolval break callable case ceil chr compact continue cos count ctype_alnum
        ctype_alpha ctype_digit ctype_lower ctype_punct ctype_space ctype_upper ctype_xdigit current decbin
        dechex decoct default do each echo else elseif empty end exp explode false float floatval floor fmod
        fn for foreach function gettype global gmp_gcd hexdec hypot if implode in_array instanceof int
        intdiv intval is_array is_bool is_finite is_float is_infinite is_int is_integer is_nan is_null
        is_numeric is_object is_string isset iterable join key krsort ksort lcfirst levenshtein list log
        log10 log2 ltrim match max mb_str_split mb_strlen mb_strpos mb_strtolower mb_strtoupper mb_substr
        md5 metaphone min mixed natsort next nl2br null number number_format object octdec or ord php pi pow
        preg_match preg_match_all preg_quote preg_replace preg_split prev print print_r printf range reset
        return round rsort rtrim self serialize settype shuffle similar_text sin sizeof sort soundex sprintf
        sqrt static str_contains str_ends_with str_ireplace str_pad str_repeat str_replace str_split
        str_starts_with str_word_count strcasecmp strcmp strcspn string stripos stristr strlen strncmp
        strpos strrev strrpos strspn strstr strtolower strtoupper strtr strval substr substr_compare
        substr_count substr_replace switch tan trim true uasort ucfirst ucwords uksort unset use usort
        var_dump void while wordwrap xor
    """,
    "rb": """
        ArgumentError Array Comparator Complex Float Hash INFINITY Integer Math NAN PI Prime Range Rational
        Set StandardError String TypeError Za ab abs abs2 add all and any append atan atan2 begin between
        bit_length break bsearch bytes call capitalize case casecmp cbrt ceil ceildiv center chars chomp
        chop chr chunk chunk_while clamp clone collect combination combinations compact concat cos count
        cover cycle def default delete delete_at delete_if detect difference dig digits disjoint div divmod
        do downcase downto drop drop_while dup each each_byte each_char each_cons each_entry each_index
        each_key each_line each_pair each_slice each_value each_with_index each_with_object else elsif empty
        end end_with ensure even exp false fdiv fetch fill filter filter_map find find_all find_index finite
        first flat_map flatten floor for force format freeze frozen gcd group_by gsub has_key has_value hash
        hex hypot if in include index infinite inject insert inspect instance_of integer intersect
        intersection invert is_a itself join keep_if key keys kind_of lambda last lazy lcm length lines
        ljust log log10 log2 loop lstrip map map_with_index match max max_by member merge merge_with min
        min_by minmax minmax_by modulo nan negative new next nil none not oct odd one or ord pack partition
        permutation pop positive pow pred prepend prime print proc product push puts redo reduce reject
        remainder repeated_combination repeated_permutation replace require rescue respond_to return reverse
        reverse_each rindex rjust rotate round rstrip sample scan select self shift shuffle sin size slice
        slice_by slice_when sort sort_by split sprintf sqrt squeeze start_with step store strip sub subset
        succ sum superset swapcase take take_while tally tan tap then times to_a to_c to_f to_h to_i to_proc
        to_r to_s to_set to_sym tr transform_keys transform_values transpose true truncate union uniq unless
        unpack unshift until upcase update upto value values values_at when while with_index with_object
        yield zero zip
    """,
    "lua": """
        abs acos and asin atan band bit bit32 bnot bor break bxor byte ceil char charpattern codepoint codes
        concat cos do else elseif end exp false find floor fmod for format function gmatch goto gsub huge if
        in insert inspect ipairs len local log lower lshift match math max maxinteger min mininteger modf
        move next nil not or pack pairs pi pow print random remove rep repeat return reverse rshift select
        sin sort sqrt string sub table tan then tointeger tonumber tostring true type unpack until upper
        utf8 vim while
    """,
    "r": """
        FALSE Filter Find Inf LETTERS Map NA NAMES NULL NaN Negate Position Recall Reduce TRUE USE abs acos
        all any append apply array as asin atan atan2 bitwAnd bitwNot bitwOr bitwShiftL bitwShiftR bitwXor
        break byrow cat cbind ceiling charToRaw character chartr choose colMeans colSums collapse colnames
        combn cos crossprod cummax cummin cumprod cumsum data decreasing diag diff dim do double duplicated
        element else endsWith exp expm1 factor factorial finite first fixed floor for format formatC frame
        function gamma gregexpr grep grepl gsub head identical if ifelse ignore in intToBits intToUtf8
        integer intersect inverse invisible is isFALSE isTRUE lapply last length letters levels list log
        log10 log1p log2 logical lower mapply match matrix max mean median message min mod mode na na_last
        names nan nchar ncol next nlevels nrow null numeric order outer paste paste0 perl pi pmax pmin print
        prod range rank rapply rawToBits rawToChar rbind regexpr regmatches rep rep_len repeat return rev
        rle rm round rowMeans rowSums rownames sapply sd sep seq seq_along seq_len setNames setdiff sign
        signif simplify sin sort split sprintf sqrt stack startsWith stop strsplit strtoi sub substr
        substring sum switch table tabulate tail tan toString tolower toupper tri trimws trunc typeof union
        unique unlist unsplit upper utf8ToInt value vapply var vector warning which while xor
    """,
    "jl": """
        AbstractArray AbstractString AbstractVector Any ArgumentError Array BigFloat BigInt Bool Char
        Complex Dict DomainError ErrorException Float32 Float64 Inf Int Int128 Int16 Int32 Int64 Int8
        Integer LinRange Matrix Missing NaN NamedTuple Nothing Number Pair Rational Real Regex RegexMatch
        Set String SubString Symbol Tuple UInt64 UInt8 Union Vector abs abs2 acos all and angle any append
        argmax argmin asin atan axes base begin big binomial bitstring break by captures cat catch cbrt ceil
        chomp chop circshift cld cmp coalesce codepoint collect combinations conj const contains continue
        convert copy cos count count_ones counts cumprod cumsum deepcopy delete deleteat diff digits dims
        div divrem do eachindex eachmatch else elseif eltype empty end endswith enumerate eps error exp
        extrema factorial false falses fill filter finally findall findfirst findlast findmax findmin
        findnext findprev first fld fldmod floor foldl foldr for foreach function gcd get haskey hcat hvcat
        hypot identity if imag in index init insert intersect isa isalnum isalpha isascii isdigit isempty
        isequal iseven isfinite isinf isinteger isless isletter islowercase ismatch isnan isnumeric isodd
        isone isprime ispunct isreal issorted isspace issubset isuppercase isxdigit iszero join keepempty
        keys last lcm leading_zeros length let limit local log log10 log2 lowercase lowercasefirst lpad
        lstrip lt map mapreduce mapslices match max maximum mean median merge min minimum minmax missing mod
        mutable ncodeunits ndigits ndims nextind not nothing ntuple occursin offset ones or pad pairs parse
        partition permutations permutedims pi pop popfirst powermod prepend prevind print printf println
        prod push pushfirst range real reduce reinterpret rem repeat replace reshape return rev reverse
        rotl90 rotr90 round rpad rsplit rstrip setdiff sign signbit similar sin size something sort sortperm
        sortslices splice split sqrt stack startswith step string strip struct sum symdiff tan thisind throw
        titlecase trailing_zeros transpose true trues trunc try tryparse typemax typemin typeof undef union
        unique uppercase uppercasefirst values vcat vec view where while xor zeros zip
    """,
    "rkt": """
        #:key #:unless abs acos add-between add1 and andmap append append* append-map apply argmax argmin
        arithmetic-shift asin assf assoc assq assv atan begin bitwise-and bitwise-ior bitwise-not
        bitwise-xor boolean=? boolean? build-list build-string build-vector by caar cadddr caddr cadr
        call-with-values car cartesian-product case cdar cdddr cddr cdr ceiling char->integer
        char-alphabetic? char-downcase char-lower-case? char-numeric? char-upcase char-upper-case?
        char-whitespace? char<=? char<? char=? char>=? char>? char? check-duplicates combinations compose
        cond cons cons? const cos count curry curryr define denominator display displayln do drop drop-right
        dropf else empty empty? eq? equal? eqv? error even? exact exact->inexact exact-ceiling exact-floor
        exact-integer? exact-nonnegative-integer? exact-round exact-truncate exp expt false false? fifth
        filter filter-map filter-not findf first flatten floor foldl foldr for for* for*/and for*/list
        for*/or for*/sum for-each for/and for/first for/fold for/hash for/last for/list for/lists for/or
        for/product for/set for/string for/sum for/vector format fourth gcd group-by hash hash->list
        hash-count hash-empty? hash-for-each hash-has-key? hash-keys hash-map hash-ref hash-ref! hash-remove
        hash-remove! hash-set hash-set! hash-update hash-update! hash-values hash? identity if imag-part
        implies in-combinations in-cycle in-hash in-hash-keys in-hash-values in-indexed in-list in-naturals
        in-permutations in-range in-set in-string in-vector index-of index-where indexes-of inexact->exact
        infinite? integer->char integer-length integer-sqrt integer? key lambda lang last last-pair lcm
        length let let* let-values letrec list list* list->set list->seteqv list->string list->vector
        list-prefix? list-ref list-set list-tail list? log magnitude make-hash make-hasheq
        make-immutable-hash make-list make-string make-vector map math max member memf memq memv min modulo
        nan? nand negative? newline non-empty-string? nor not nth null null? number->string number-theory
        number? numerator odd? or ormap pair? partition permutations pi positive? pregexp prime? printf
        println procedure? quotient racket racket/list racket/math racket/set racket/string
        raise-argument-error range rational? real->double-flonum real-part real? regexp regexp-match
        regexp-match* regexp-match-positions regexp-match-positions* regexp-match? regexp-quote
        regexp-replace regexp-replace* regexp-split remainder remf remove remove* remove-duplicates removef
        remq rest result reverse round second set set->list set-add set-count set-empty? set-intersect
        set-member? set-remove set-subtract set-union sgn shuffle sin sort split-at split-point splitf-at
        sqr sqrt square string string->list string->number string->symbol string-append string-append*
        string-ci=? string-contains? string-copy string-downcase string-empty? string-index string-join
        string-length string-prefix? string-ref string-replace string-reverse string-split string-suffix?
        string-titlecase string-trim string-upcase string<=? string<? string=? string>=? string>? string?
        sub1 subset? substring symbol symbol->string symbol=? symbol? take take-right takef takef-right tan
        third third-last true truncate unless values vector vector->list vector-append vector-copy
        vector-fill! vector-length vector-map vector-ref vector-set! vector? void void? when xor zero?
    """,
    "sh": """
        AEIOUaeiou BEGIN Division END FS IFS NF NR OFS RS alnum alpha and awk bc break by case cat column
        comm continue cos cut declare dev digit do does done echo egrep elif else esac exp expr factor false
        fgrep fi fold for function getline grep gsub has head ibase if in index int is join lateral length
        let local log lower mapfile match next nl null numfmt obase od paste print printf punct read
        readarray readonly return rev scale sed select seq shift shuf sin sort space split sprintf sqrt sub
        substr sum surface tac tail test then time tolower toupper tr true typeset uniq unset until upper wc
        while with xargs xdigit zero
    """,
}
