"""Write small workbooks with the standard library: .xlsx and .ods are XML in a zip."""

import zipfile
from xml.sax.saxutils import escape

SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OPEN_DOCUMENT = "urn:oasis:names:tc:opendocument:xmlns"
# the style of a number decides what it means: 1 date, 2 date and time, 3 time, 4 duration
DATE, MOMENT, TIME, DURATION = 1, 2, 3, 4
STYLES = (
    f'<styleSheet xmlns="{SPREADSHEET}"><numFmts count="1"><numFmt numFmtId="170" '
    'formatCode="[h]:mm:ss"/></numFmts><cellXfs count="5"><xf numFmtId="0"/><xf numFmtId="14"/>'
    '<xf numFmtId="22"/><xf numFmtId="21"/><xf numFmtId="170"/></cellXfs></styleSheet>'
)


class Raw(str):
    """The XML of a cell behind its reference."""


def styled(number, style):
    """A number that its style makes a date, a time or a duration."""
    return Raw(f's="{style}"><v>{number}</v>')


def error(code="#N/A"):
    return Raw(f't="e"><v>{code}</v>')


def formula(text, value):
    return Raw(f"><f>{text}</f><v>{value}</v>")


def _cell(reference, value):
    if isinstance(value, Raw):
        inside = value
    elif isinstance(value, bool):
        inside = f't="b"><v>{int(value)}</v>'
    elif isinstance(value, int | float):
        inside = f"><v>{value!r}</v>"
    else:
        inside = f't="inlineStr"><is><t>{escape(value)}</t></is>'
    return f'<c r="{reference}" {inside}</c>'


def write_xlsx(path, sheets, hidden=()):
    """Write {name of sheet: rows}; None is an empty cell, `Raw` the XML of one."""
    numbers = range(1, len(sheets) + 1)
    listed = ""
    for n, name in zip(numbers, sheets, strict=True):
        state = 'state="hidden"' if name in hidden else ""
        listed += f'<sheet name="{escape(name)}" sheetId="{n}" {state} r:id="rId{n}"/>'
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    related += f'<Relationship Id="rId0" Type="{DOCUMENT}/styles" Target="styles.xml"/>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{SPREADSHEET}" xmlns:r="{DOCUMENT}">'
            f"<sheets>{listed}</sheets></workbook>",
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>',
        )
        archive.writestr("xl/styles.xml", STYLES)
        for n, rows in zip(numbers, sheets.values(), strict=True):
            body = ""
            for line, row in enumerate(rows, start=1):
                cells = ""
                for position, value in enumerate(row):
                    if value is not None:
                        cells += _cell(f"{chr(ord('A') + position)}{line}", value)
                body += f'<row r="{line}">{cells}</row>'
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f'<worksheet xmlns="{SPREADSHEET}"><sheetData>{body}</sheetData></worksheet>',
            )


def write_ods(path, sheets):
    """Write {name of sheet: rows of texts and numbers}."""
    tables = ""
    for name, rows in sheets.items():
        body = ""
        for row in rows:
            cells = ""
            for value in row:
                if isinstance(value, str):
                    cells += (
                        '<table:table-cell office:value-type="string"><text:p>'
                        f"{escape(value)}</text:p></table:table-cell>"
                    )
                else:
                    cells += f'<table:table-cell office:value-type="float" office:value="{value}"/>'
            body += f"<table:table-row>{cells}</table:table-row>"
        tables += f'<table:table table:name="{escape(name)}">{body}</table:table>'
    content = (
        f'<office:document-content xmlns:office="{OPEN_DOCUMENT}:office:1.0" '
        f'xmlns:table="{OPEN_DOCUMENT}:table:1.0" xmlns:text="{OPEN_DOCUMENT}:text:1.0">'
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
        "</office:document-content>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="{OPEN_DOCUMENT}:manifest:1.0"/>',
        )
        archive.writestr("content.xml", content)
