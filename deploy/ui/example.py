"""PURE: the examples of the page: a question, and documents in several languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One example; the right documents are the last two, so that reranking is seen."""

    name: str
    query: str
    documents: tuple[str, ...]


EXAMPLES = (
    Example(
        "中文",
        "如何解决 Python 的 AttributeError 错误？",
        (
            "Forum: Seit dem Update stürzt mein Programm beim Start ab. Kennt jemand das Problem?",
            "ブログ：Pythonのエラーを読むコツ。メッセージの最後の行から確認していきましょう。",
            (
                "An AttributeError means that the object has no such attribute: check its type with"
                " type(), look for a misspelled name, and make sure that it is not None."
            ),
            "问题：调用时报 AttributeError。原因是变量为 None；检查对象类型和属性名拼写后解决。",
        ),
    ),
    Example(
        "English",
        "How do I back up a PostgreSQL database?",
        (
            "El museo abre todos los días excepto los lunes.",
            "MySQL tables can be checked with mysqlcheck.",
            "使用 pg_dump 可以把整个 PostgreSQL 数据库导出到一个文件，之后用 psql 恢复。",
            "Run pg_dump to write the database to a file, and restore it with psql or pg_restore.",
        ),
    ),
    Example(
        "日本語",
        "コーヒーの入れ方を教えてください",
        (
            "Chuyến tàu đến Đà Nẵng khởi hành lúc tám giờ sáng.",
            "The library is open from Tuesday to Friday.",
            "Để pha cà phê, hãy xay hạt, đun nước nóng rồi rót từ từ lên bột cà phê.",
            "コーヒー豆を挽き、九十度ほどのお湯をゆっくり注いで、三分ほど待ちます。",
        ),
    ),
    Example(
        "العربية",
        "ما هي أعراض الإنفلونزا؟",
        (
            "Le train pour Lyon part toutes les heures de la gare principale.",
            "يفتح المتحف أبوابه كل يوم من الساعة التاسعة صباحا.",
            "La grippe se manifeste par de la fièvre, des courbatures et une grande fatigue.",
            "من أعراض الإنفلونزا الحمى والسعال وآلام العضلات والتعب الشديد.",
        ),
    ),
    Example(
        "Español",
        "¿Cómo se planta un árbol?",
        (
            "O banco fecha às quinze horas e não abre aos sábados.",
            "La receta lleva harina, huevos y chocolate en polvo.",
            "Para plantar uma árvore, cave um buraco largo, coloque a muda e regue bem.",
            "Cava un hoyo dos veces más ancho que las raíces, coloca el árbol y riégalo.",
        ),
    ),
    Example(
        "हिन्दी",
        "मधुमेह से कैसे बचा जा सकता है?",
        (
            "The stock market rose by two percent on Tuesday.",
            "रेलगाड़ी सुबह आठ बजे दिल्ली से चलती है।",
            "Regular exercise, a healthy weight and little sugar lower the risk of diabetes.",
            "नियमित व्यायाम, संतुलित भोजन और कम चीनी खाने से मधुमेह का खतरा घटता है।",
        ),
    ),
    Example(
        "Русский",
        "Почему небо голубое?",
        (
            "Поезд на Казань отправляется в девять вечера.",
            "Она покрасила кухню в голубой цвет.",
            "Der Himmel ist blau, weil die Luft kurzwelliges Licht stärker streut.",
            "Молекулы воздуха рассеивают синий свет сильнее красного, поэтому небо голубое.",
        ),
    ),
    Example(
        "한국어",
        "비밀번호를 잊어버렸을 때 어떻게 하나요?",
        (
            "제주도로 가는 배는 매일 아침 아홉 시에 출발합니다.",
            "パスワードは八文字以上にしてください。",
            "To reset a forgotten password, choose “Forgot password” and follow the e-mail’s link.",
            "로그인 화면에서 ‘비밀번호 찾기’를 누르고 이메일로 받은 링크에서 새로 설정하세요.",
        ),
    ),
    Example(
        "Kiswahili",
        "Ni nini husababisha malaria?",
        (
            "Treni ya kwenda Mombasa huondoka saa mbili asubuhi.",
            "She painted the kitchen in a light shade of blue.",
            "Malaria is caused by parasites that are spread by the bites of infected mosquitoes.",
            "Malaria husababishwa na vimelea vinavyoenezwa na mbu jike aina ya Anofelesi.",
        ),
    ),
    Example(
        "Suomi",
        "Miten sauna lämmitetään?",
        (
            "Juna Tampereelle lähtee raiteelta kolme.",
            "Die Bibliothek ist am Wochenende geschlossen.",
            "Heat the sauna stove with dry wood for an hour, then throw water on the stones.",
            "Sytytä kiuas kuivilla puilla ja odota noin tunti, kunnes kivet ovat kuumia.",
        ),
    ),
)
