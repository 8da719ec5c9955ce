"""The blocks about files: the impressions, the tables joined to them, and when an impression was shown."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.dataset.sections.section import FileList, Names, Section
from components.dataset.sections.split import Moment

TimeUnit = Literal["s", "ms", "us", "ns", "iso", "dmy", "mdy", "yymmddhh", "random"]
UTF_8 = "utf-8"
Separator = Annotated[str | None, Field(pattern=r"^[\x01-\x09 !#-~]{1,4}$")]


_SEPARATOR = "Between values: a character of ASCII, or up to four as in `::`; the suffix tells it."


def known_encoding(name: str) -> str:
    """The name of an encoding in which a line break is the byte of ASCII.

    Raises:
      ValueError: there is none of this name, or a line break is something else in it.
    """
    try:
        found = codecs.lookup(name).name
        plain = "\n,a1".encode(found) == b"\n,a1"
    except (LookupError, UnicodeError):
        raise ValueError(f"{name!r} is no encoding of text, such as utf-8, cp1252 or gb18030") from None
    if not plain:
        raise ValueError(f"{name!r} is not made of ASCII's bytes and others: write the file as UTF-8")
    return found


Encoding = Annotated[str, AfterValidator(known_encoding)]


class Impressions(Section):
    """The impression log: one row per item shown to a user in a domain."""

    files: FileList = Field(
        description="File names, folders or globs, looked up in the data folder, then in its `data` folder; every run "
        "looks anew, so that `log-????-??-??.csv` reads tomorrow's file too. A folder stands for all files in and "
        "below it. The keys of folders as Hive and Spark write them (`dt=2026-03-14/scene=feed/part-0.parquet`) are "
        "columns, read as text or as they are declared. Files and folders that begin with `.` or `_` are left out. The "
        "suffix tells the format: .csv, .tsv, .jsonl, .ndjson or .json (one object in each line), all with .gz too; "
        "RecBole's .inter, .user and .item; .parquet; .txt, .dat and .data (text, as .csv) where they are named or a "
        "glob matches them. One line of CSV is one row: a value in quotes may hold "
        "separators and doubled quotes, not line breaks; a table with such values needs Parquet.",
    )
    ignore: Names = Field(
        default_factory=list,
        description="Names, folders or globs of what stays unread, though a pattern of `files` matches it or though it "
        "looks like the log, which is warned of otherwise.",
    )
    separator: Separator = Field(default=None, description=_SEPARATOR)
    encoding: Encoding = Field(default=UTF_8, description="Of CSV's text: cp1252, latin-1, gb18030 ...")
    columns: Names = Field(
        default_factory=list,
        description="Names of the columns of CSV whose first line is data and no header.",
    )


class Lookup(Section):
    """A table joined to each impression by key; a key without a match leaves its columns missing."""

    files: FileList = Field(description="File names, folders or globs, as for the impressions.")
    ignore: Names = Field(default_factory=list, description="Names, folders or globs of what stays unread.")
    separator: Separator = Field(default=None, description=_SEPARATOR)
    encoding: Encoding = Field(default=UTF_8, description="Of CSV's text.")
    columns: Names = Field(default_factory=list, description="Names of the columns where no header has them.")
    key: str | Annotated[dict[str, str], Field(min_length=1, max_length=1)] = Field(
        description="The column that both have, or {column of the impressions, or of a lookup before this one: column "
        "of the lookup}. Read as it is declared, else as text, in which Parquet's float 7.0 is `7`."
    )
    prefix: str = Field(
        default="", description="Put before the lookup's column names, when two tables use the same name."
    )

    @property
    def left_key(self) -> str:
        """The key's column on the impressions' side."""
        return self.key if isinstance(self.key, str) else next(iter(self.key))

    @property
    def right_key(self) -> str:
        """The key's column in the lookup's own files."""
        return self.key if isinstance(self.key, str) else next(iter(self.key.values()))


class Timestamp(Section):
    """When the impression was shown. A date without an offset is wall-clock time in the declared zone."""

    column: str = Field(description="The column with the time.")
    unit: TimeUnit = Field(
        description="s, ms, us or ns since 1970-01-01 UTC; or a date as it is written: iso (`2017-05-05 16:03:21`, "
        "`2017/05/05 4:03 PM`, `20170505T160321Z`, `2017050516`, `Fri May  5 16:03:21 +0000 2017`, "
        "`05/May/2017:16:03:21 +0000`, `May 5, 2017 4:03 PM`), dmy (`5.12.2017 16:03`), mdy (`12/5/2017 4:03 PM`), "
        "yymmddhh (`17050516`). random: the log has no time; all rows of a value of the column, which is the user's, "
        "fall at random into one of ten parts that stand for days, so that nobody is in two: the weaker choice, which "
        "cannot tell how a model ages."
    )

    @property
    def is_random(self) -> bool:
        """Whether parts drawn at random stand for days."""
        return self.unit == "random"


class Events(Section):
    """A log of what users did without an impression of this log: searches, purchases, another app, the weeks before.

    Its rows feed the averages of the behaviours that it tells; they are never trained on nor judged. Its columns go by
    the names that the impressions or the lookups have, and lookups are joined to it as to the impressions. A row needs
    a time, and the user or the item. Rows without the domain count as deviations from an average of their own. Those
    from the first day to evaluate on are left out. A feed of days (`dfei daily`) reads the events of each day with it,
    and those of days before it that no day has read yet.
    """

    files: FileList = Field(description="File names or globs, as for the impressions.")
    separator: Separator = Field(default=None, description=_SEPARATOR)
    encoding: Encoding = Field(default=UTF_8, description="Of CSV's text.")
    ignore: Names = Field(default_factory=list, description="Names, folders or globs of what stays unread.")
    timestamp: Timestamp | None = Field(
        default=None, description="When it was; null: as for the impressions."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Where names differ, {column of the declaration: column of these files or of a lookup}.",
    )
    behaviours: list[str] | None = Field(
        default=None, description="Behaviours that these files tell; null: all whose columns they have."
    )
    since: Moment | None = Field(
        default=None, description="Events before this moment, written as `split.before`, are left out."
    )
    before: Moment | None = Field(
        default=None,
        description="Events of this moment and later are left out; null: of the first day to evaluate.",
    )
